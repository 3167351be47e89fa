import { FrameType, crc32, decodeFrames, encodeFrame } from '@aiv/htx-codec'
import { AivError, type Compressor, type Millis, joinBytes } from '@aiv/transport-api'
import {
  AeadRecordOpener,
  AeadRecordSealer,
  type Capabilities,
  HtxSession,
  type HtxSessionEvent,
  type HtxSessionOptions,
  HTX_VERSION,
  ReassemblyBudget,
  htxSessionOptions,
} from '../src/index.js'
import { SessionHandshake } from '../src/session-handshake.js'
import { testChannels } from './session-pair.js'

/** What an ordinary peer says of itself. */
export const ordinaryCapabilities: Capabilities = {
  versions: [HTX_VERSION],
  patterns: ['XX', 'XK'],
  suites: ['aes-256-gcm', 'chacha20-poly1305'],
  maxFrameBytes: 65_536,
  maxMessageBytes: 16 * 1024 * 1024,
  lz4: true,
}

/** A frame as the raw peer reads it. */
export interface OpenedFrame {
  readonly type: number
  readonly payload: Uint8Array
}

/** An initiator that seals whatever it is told to, facing an honest responder. */
export class RawPeer {
  now: Millis = 0
  readonly session: HtxSession
  readonly events: HtxSessionEvent[] = []
  readonly received: OpenedFrame[] = []
  readonly sealer: AeadRecordSealer
  readonly #opener: AeadRecordOpener
  #opening = true

  constructor(
    options: HtxSessionOptions = {},
    budget = new ReassemblyBudget(),
    capabilities = ordinaryCapabilities,
    compressor?: Compressor,
  ) {
    const own = testChannels(1)
    const other = testChannels(2)
    this.session = new HtxSession(0, {
      role: 'responder',
      secure: other.secure,
      expected: undefined,
      remoteStatic: undefined,
      options: htxSessionOptions(options),
      budget,
      compressor,
    })
    const handshake = new SessionHandshake({
      role: 'initiator',
      secure: own.secure,
      expected: other.nodeId,
      remoteStatic: undefined,
      capabilities,
    })
    const plain = (payload: Uint8Array): Uint8Array =>
      encodeFrame({ flags: 0, type: FrameType.Handshake, sequence: 0, timestamp: 0, payload })
    this.session.handleInput(0, plain(handshake.pollMessage() as Uint8Array))
    const [answer] = decodeFrames(joinBytes(this.session.pollOutput(0) ?? []), { maxFrameBytes: 65_536 })
    handshake.handleMessage(answer?.payload as Uint8Array)
    const last = plain(handshake.pollMessage() as Uint8Array)
    const { outcome } = handshake
    if (outcome === undefined || outcome instanceof AivError) throw outcome ?? new Error('no handshake')
    this.sealer = new AeadRecordSealer(outcome.session.sending)
    this.#opener = new AeadRecordOpener(outcome.session.receiving)
    this.session.handleInput(0, last)
    this.drain()
  }

  /** One sealed frame, not sent. */
  frame(type: number, payload: Uint8Array = new Uint8Array(0), flags = 0): Uint8Array {
    const out: Uint8Array[] = []
    this.sealer.seal(type, flags, payload, payload.length, 0, out)
    return new Uint8Array(joinBytes(out))
  }

  /** Sends bytes as they are, and takes what comes back. */
  write(bytes: Uint8Array): void {
    this.session.handleInput(this.now, new Uint8Array(bytes))
    this.drain()
  }

  send(type: number, payload: Uint8Array = new Uint8Array(0), flags = 0): void {
    this.write(this.frame(type, payload, flags))
  }

  drain(): void {
    for (let more = true; more;) {
      more = false
      for (let event; (event = this.session.pollEvent()) !== undefined; more = true) this.events.push(event)
      const pieces = this.session.pollOutput(this.now)
      if (pieces === undefined) continue
      more = true
      const bytes = joinBytes(pieces)
      for (const frame of decodeFrames(bytes, { maxFrameBytes: 65_536 })) {
        if (!this.#opening) continue
        const header = { ...frame, length: frame.payload.length }
        const at = frame.payload.byteOffset - bytes.byteOffset - 20
        const payload = this.#opener.open(header, bytes.subarray(at, at + 20), frame.payload)
        if (frame.type === FrameType.KeyUpdate) this.#opener.next(this.now + 1e9)
        this.received.push({ type: frame.type, payload })
        if (frame.type === FrameType.Close) this.#opening = false
      }
    }
  }

  advance(ms: number): void {
    const end = this.now + ms
    for (let at; (at = this.session.nextTimeout()) !== undefined && at <= end;) {
      this.now = Math.max(this.now, at)
      this.session.handleTimeout(this.now)
      this.drain()
    }
    this.now = end
  }

  /** The code that the session ended with. */
  get code(): string | undefined {
    return this.closed?.reason.code
  }

  get closed(): (HtxSessionEvent & { type: 'closed' }) | undefined {
    return this.events.find((event) => event.type === 'closed')
  }

  get packets(): Uint8Array[] {
    return this.events.flatMap((event) => (event.type === 'packet' ? [event.bytes] : []))
  }

  ofType(type: number): Uint8Array[] {
    return this.received.filter((frame) => frame.type === type).map(({ payload }) => payload)
  }
}

/** The same frame with a right CRC after something in it was changed. */
export function withCrc(frame: Uint8Array): Uint8Array {
  const out = new Uint8Array(frame)
  new DataView(out.buffer).setUint32(out.length - 4, crc32(out.subarray(0, out.length - 4)))
  return out
}
