import type { DeviceType, NodeId } from '@aiv/transport-api'
import type { LocalError } from '../local/local-protocol.js'

/** What the demo and the three processes that it starts say to each other. */

/** Protocol of the demo's messages. */
export const DEMO_PROTOCOL = 'aiv-demo/1'

/** The Bluetooth of one of the demo's nodes: an adapter, or a controller of an air in software. */
export type DemoRadio = { readonly adapter: number } | { readonly airSocket: string }

/** What each command takes and gives. */
export interface DemoCommands {
  /** Becomes a node. */
  start: {
    readonly ask: {
      readonly device: DeviceType
      readonly htx: boolean
      /** Instead of everything else. */
      readonly ble?: DemoRadio
      readonly quic: boolean
      readonly directory: string
    }
    readonly answer: { readonly id: NodeId; readonly pid: number; readonly addresses: readonly string[] }
  }
  /** Remembers where others are. */
  learn: { readonly ask: { readonly addresses: readonly string[] }; readonly answer: null }
  /** Sends messages and waits until all are acknowledged. */
  send: {
    readonly ask: { readonly to: NodeId; readonly count: number; readonly bytes: number }
    readonly answer: MessagesReport
  }
  /** What came from a node since this was last asked. */
  received: { readonly ask: { readonly from: NodeId }; readonly answer: Omit<MessagesReport, 'elapsedMs'> }
  /** Closes a transport, with its listener and its connections, when this share of the next file has arrived. */
  'cut-next-file': { readonly ask: { readonly transport: string; readonly share: number }; readonly answer: null }
  'send-file': {
    readonly ask: { readonly to: NodeId; readonly path: string }
    readonly answer: { readonly size: number; readonly sha256: string; readonly elapsedMs: number }
  }
  /** How the last file came in; hashed once more, from the disk. */
  'file-report': { readonly ask: object; readonly answer: FileReport }
  close: { readonly ask: object; readonly answer: null }
}
export type DemoCommand = keyof DemoCommands

export interface MessagesReport {
  readonly count: number
  readonly bytes: number
  /** SHA-256 over all payloads in the order of sending, or of arrival, in hex. */
  readonly sha256: string
  /** Messages by transport. */
  readonly transports: Readonly<Record<string, number>>
  readonly elapsedMs: number
}

export interface FileReport {
  readonly name: string
  readonly size: number
  readonly sha256: string
  /** Bytes by transport, in the order of their first piece. */
  readonly transports: Readonly<Record<string, number>>
  /** Bytes that had arrived when the transport was closed. */
  readonly cutAtBytes: number | undefined
  /** Between the last piece over the transport that was closed and the first one over another. */
  readonly gapMs: number | undefined
}

export type DemoRequest = {
  [C in DemoCommand]: { readonly id: number; readonly command: C; readonly ask: DemoCommands[C]['ask'] }
}[DemoCommand]

export type DemoReply =
  | { readonly id: number; readonly ok: true; readonly answer: unknown }
  | { readonly id: number; readonly ok: false; readonly error: LocalError }

/** Told without being asked. */
export type DemoEvent =
  | { readonly event: 'message'; readonly from: NodeId; readonly transport: string; readonly text: string }
  | { readonly event: 'file'; readonly from: NodeId; readonly name: string; readonly size: number }
  | { readonly event: 'progress'; readonly done: number; readonly size: number }
