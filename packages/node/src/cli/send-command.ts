import { resolve } from 'node:path'
import { isNodeId, parseAddress, toHex, type NodeId, type Priority } from '@aiv/transport-api'
import { Priority as Priorities } from '@aiv/transport-api'
import { composeNode } from '../compose-node.js'
import { CommandError } from '../errors.js'
import { sendFile, type FileSendProgress } from '../file/send-file.js'
import { LocalClient } from '../local/local-client.js'
import { localSocketPath } from '../local/socket-path.js'
import { interruptible, type Context } from './context.js'
import { printable } from './io.js'
import { formatBytes, formatDuration, formatRate } from './output.js'
import { startProgress, type Progress } from './progress.js'

export interface SendCommandOptions {
  readonly file?: string
  readonly priority?: Priority
  readonly protocol: string
  readonly wait?: boolean
  readonly timeout?: number
  readonly ephemeral?: boolean
}

/** Largest message; what is larger goes as a file. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024 - 1024
/** Rounds over the addresses of a recipient before a command gives up. */
const DIAL_TRIES = 2

interface Sent {
  readonly to: string
  readonly transport: string
  readonly reason: string
  readonly delivered?: { readonly transport: string; readonly attempts: number; readonly elapsedMs: number }
}

interface SentFileShown {
  readonly name: string
  readonly size: number
  readonly sha256: string
  readonly elapsedMs: number
  readonly resumedFrom: number
}

/** How something is sent: through a running node, or by one that lives as long as the command. */
interface Sender {
  message(payload: Uint8Array): Promise<Sent>
  file(path: string, onProgress: (progress: FileSendProgress) => void): Promise<SentFileShown>
  close(): Promise<void>
}

/** `aiv send`: one message, or one file. */
export async function send(
  context: Context,
  to: string,
  text: string | undefined,
  options: SendCommandOptions,
): Promise<void> {
  const { io } = context
  if (options.file !== undefined && text !== undefined) {
    throw new CommandError('USAGE', 'either a text or --file, not both')
  }
  if (options.file === undefined && text === undefined && io.stdin === undefined) {
    throw new CommandError('USAGE', 'nothing to send', { hint: 'give a text, --file, or pipe something in' })
  }
  await interruptible(io, async (signal) => {
    const payload = options.file === undefined ? await readPayload(text, io.stdin, signal) : undefined
    const sender =
      (await throughRunningNode(context, to, options, signal)) ?? (await asNobody(context, to, options, signal))
    try {
      if (payload !== undefined) showSent(context, await sender.message(payload), payload.length)
      else if (options.file !== undefined) await showFile(context, to, options.file, sender)
    } finally {
      await sender.close()
    }
  })
}

async function throughRunningNode(
  { folder, output }: Context,
  to: string,
  options: SendCommandOptions,
  signal: AbortSignal,
): Promise<Sender | undefined> {
  if (options.ephemeral === true) return undefined
  const client = await LocalClient.open(localSocketPath(folder))
  if (client === undefined) return undefined
  output.detail(`sending through the node that runs in ${folder.path}`)
  const { priority, protocol, wait = false, timeout } = options
  return {
    message: async (payload) => {
      const base64 = Buffer.from(payload).toString('base64')
      const urgency = priority ?? Priorities.Normal
      const limit = timeout === undefined ? {} : { timeoutMs: timeout }
      const request = { op: 'send', to, payload: base64, protocol, priority: urgency, wait, ...limit } as const
      return (await client.ask(request, { signal })) as Sent
    },
    file: async (path, onProgress) => {
      const urgency = priority === undefined ? {} : { priority }
      return (await client.ask(
        { op: 'send-file', to, path: resolve(path), ...urgency },
        { signal, onEvent: (event) => onProgress(event as FileSendProgress) },
      )) as SentFileShown
    },
    close: () => client.close(),
  }
}

async function asNobody(
  { folder, output, log }: Context,
  to: string,
  options: SendCommandOptions,
  signal: AbortSignal,
): Promise<Sender> {
  if (isNodeId(to)) {
    throw new CommandError('ADDRESS_UNKNOWN', `no node runs in ${folder.path} that might know where ${to} is`, {
      hint: 'give an address, htx://id@host:port, or start the node with aiv up',
    })
  }
  const node = await composeNode({
    htx: 'dial',
    websocket: 'dial',
    ...(parseAddress(to).scheme === 'ble' ? { ble: { peripheral: false } as const } : {}),
    // Its binary is loaded only for whoever needs it
    quic: to.startsWith('quic:') ? 'dial' : 'off',
    dialTries: DIAL_TRIES,
    signal,
    ...(log === undefined ? {} : { log }),
  })
  const failed = node.transports.find(({ error }) => error !== undefined)
  if (failed?.error !== undefined) {
    await node.close()
    throw failed.error
  }
  const why = options.ephemeral === true ? '' : `no node runs in ${folder.path}: `
  output.note(`${why}sending as ${node.id}, an identity made for this command only`)
  output.event({ type: 'ephemeral', id: node.id })
  const { priority, protocol, timeout } = options
  const urgency = priority === undefined ? {} : { priority }
  return {
    message: async (payload) => {
      const limit = timeout === undefined ? {} : { timeoutMs: timeout }
      const receipt = await node.send(to, payload, { protocol, signal, ...urgency, ...limit })
      // waited for with and without --wait: nobody repeats the message once this node is gone
      const delivered = await abortable(receipt.delivered, signal)
      return { to: receipt.to, transport: delivered.transport, reason: receipt.reason, delivered }
    },
    file: async (path, onProgress) => {
      const file = await sendFile(node, to, path, { signal, onProgress, ...urgency })
      return { ...file, sha256: toHex(file.sha256) }
    },
    close: () => node.close(),
  }
}

function showSent({ output }: Context, sent: Sent, bytes: number): void {
  const { to, transport, reason, delivered } = sent
  const text =
    delivered === undefined
      ? `sent to ${to} over ${transport}: ${reason}`
      : `delivered to ${to} over ${delivered.transport} in ${formatDuration(delivered.elapsedMs)}`
  output.result(text, { type: delivered === undefined ? 'sent' : 'delivered', bytes, ...sent, ...delivered })
}

async function showFile({ output, io, json }: Context, to: string, path: string, sender: Sender): Promise<void> {
  let bar: { readonly phase: string; readonly progress: Progress } | undefined
  const end = (): void => bar?.progress.stop()
  try {
    const file = await sender.file(path, ({ phase, done, size }) => {
      if (bar?.phase !== phase) {
        end()
        // the hash takes a moment only; a bar for it is worth its line where there is a terminal
        bar =
          phase === 'hashing' && !io.stderr.isTty
            ? undefined
            : { phase, progress: startProgress(io, json, phase, size) }
      }
      bar?.progress.update(done)
      output.event({ type: 'file-progress', phase, done, size })
    })
    end()
    const { name, size, sha256, elapsedMs, resumedFrom } = file
    const took = `${formatDuration(elapsedMs)} (${formatRate(size - resumedFrom, elapsedMs)})`
    const recipient = recipientId(to) ?? to
    output.result(
      `${printable(name)}: ${formatBytes(size)} delivered to ${recipient} in ${took}, SHA-256 ${sha256} verified there`,
      { type: 'file-delivered', to: recipient, name, size, sha256, elapsedMs, resumedFrom },
    )
  } catch (error) {
    end()
    throw error
  }
}

const recipientId = (to: string): NodeId | undefined => (isNodeId(to) ? to : parseAddress(to).nodeId)

async function readPayload(
  text: string | undefined,
  stdin: AsyncIterable<Uint8Array> | undefined,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (text !== undefined) return new TextEncoder().encode(text)
  const pieces: Uint8Array[] = []
  let length = 0
  for await (const piece of stdin ?? []) {
    signal.throwIfAborted()
    length += piece.length
    if (length > MAX_MESSAGE_BYTES) {
      throw new CommandError('INPUT_TOO_LARGE', `a message has at most ${formatBytes(MAX_MESSAGE_BYTES)}`, {
        hint: 'save it and use --file',
      })
    }
    pieces.push(piece)
  }
  return new Uint8Array(Buffer.concat(pieces))
}

function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    if (signal.aborted) onAbort()
  })
}
