import { type Crypto, identityFromSeed, nodeCrypto, secureChannels, seededCrypto } from '@aiv/security'
import { SeededRandom } from '@aiv/testkit'
import {
  type CipherSuite,
  type Compressor,
  type Millis,
  type NodeId,
  type SecureChannels,
  joinBytes,
} from '@aiv/transport-api'
import {
  HtxSession,
  type HtxSessionEvent,
  type HtxSessionOptions,
  ReassemblyBudget,
  htxSessionOptions,
} from '../src/index.js'

export type SideName = 'initiator' | 'responder'

/** What a test may set; everything has a default that makes an ordinary session. */
export interface PairOptions {
  readonly delayMs?: number
  readonly suite?: CipherSuite
  readonly pattern?: 'XX' | 'XK'
  readonly options?: HtxSessionOptions
  readonly initiator?: HtxSessionOptions
  readonly responder?: HtxSessionOptions
  /** Instead of the responder's own id. */
  readonly expected?: NodeId
  readonly crypto?: Crypto
  readonly compressor?: Compressor
  readonly budget?: ReassemblyBudget
  readonly startAt?: Millis
  /** Of the same two nodes, that have met in this one. */
  readonly after?: SessionPair
  /** The initiator's first message waits for what is sent first. */
  readonly early?: boolean
  /** The responder was started again since they met: it has the same keys, and an empty memory. */
  readonly forgetful?: boolean
  /** What the wire makes of the bytes of one poll: the runs that arrive, in order. */
  readonly wire?: (bytes: Uint8Array, from: SideName) => readonly Uint8Array[]
}

/** One end: the session, what it said, and what it was told. */
export class Side {
  readonly events: HtxSessionEvent[] = []
  readonly packets: Uint8Array[] = []
  /** Bytes of every poll. */
  readonly outputs: Uint8Array[] = []
  /** False: the shell's socket takes nothing. */
  writable = true

  constructor(
    readonly name: SideName,
    readonly session: HtxSession,
    readonly nodeId: NodeId,
  ) {}

  get closed(): (HtxSessionEvent & { type: 'closed' }) | undefined {
    return this.events.find((event) => event.type === 'closed')
  }

  get sizes(): number[] {
    return this.packets.map((packet) => packet.length)
  }

  eventsOf<T extends HtxSessionEvent['type']>(type: T): Extract<HtxSessionEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<HtxSessionEvent, { type: T }> => event.type === type)
  }
}

/** SecureChannels of a test identity; the same seed gives the same keys and so the same bytes. */
export function testChannels(
  seed: number,
  suite: CipherSuite = 'aes-256-gcm',
  base: Crypto = nodeCrypto,
): { secure: SecureChannels; nodeId: NodeId; noiseStatic: Uint8Array } {
  const crypto = seededCrypto(base, new SeededRandom(`session-pair-${seed}`))
  const identity = identityFromSeed(crypto, new Uint8Array(32).fill(seed))
  const channels = secureChannels({ identity, clock: { unixNow: () => 1_750_000_000_000 } })
  const secure = { ...channels, suites: [suite, ...channels.suites.filter((other) => other !== suite)] }
  return { secure, nodeId: identity.nodeId, noiseStatic: identity.noiseStatic.publicKey }
}

/** Two sessions on a virtual clock, with a wire between them. */
export class SessionPair {
  now: Millis
  readonly initiator: Side
  readonly responder: Side
  readonly parties: readonly [ReturnType<typeof testChannels>, ReturnType<typeof testChannels>]
  readonly #delayMs: number
  readonly #wire: (bytes: Uint8Array, from: SideName) => readonly Uint8Array[]
  readonly #inFlight: { at: Millis; to: Side; bytes: Uint8Array }[] = []

  constructor(options: PairOptions = {}) {
    const { suite, budget = new ReassemblyBudget(), crypto, startAt = 0 } = options
    this.parties = options.after?.parties ?? [testChannels(1, suite, crypto), testChannels(2, suite, crypto)]
    if (options.forgetful === true) this.parties = [this.parties[0], testChannels(2, suite, crypto)]
    const [a, b] = this.parties
    this.now = startAt
    this.#delayMs = options.delayMs ?? 0
    this.#wire = options.wire ?? ((bytes) => [bytes])
    const common = { budget, compressor: options.compressor }
    this.initiator = new Side(
      'initiator',
      new HtxSession(startAt, {
        ...common,
        role: 'initiator',
        secure: a.secure,
        expected: options.expected ?? b.nodeId,
        remoteStatic: options.pattern === 'XK' ? b.noiseStatic : undefined,
        early: options.early,
        options: htxSessionOptions({ ...options.options, ...options.initiator }),
      }),
      a.nodeId,
    )
    this.responder = new Side(
      'responder',
      new HtxSession(startAt, {
        ...common,
        role: 'responder',
        secure: b.secure,
        expected: undefined,
        remoteStatic: undefined,
        options: htxSessionOptions({ ...options.options, ...options.responder }),
      }),
      b.nodeId,
    )
  }

  /** A pair whose handshake is done. */
  static open(options: PairOptions = {}): SessionPair {
    const pair = new SessionPair(options)
    pair.advance((options.delayMs ?? 0) * 3)
    return pair
  }

  other(side: Side): Side {
    return side === this.initiator ? this.responder : this.initiator
  }

  /** What a shell does after anything that touched a core: empties both polls. True when there was something. */
  drain(side: Side): boolean {
    let some = false
    for (let more = true; more;) {
      more = false
      for (let event; (event = side.session.pollEvent()) !== undefined;) {
        more = true
        side.events.push(event)
        if (event.type === 'packet') side.packets.push(event.bytes)
      }
      const pieces = side.writable ? side.session.pollOutput(this.now) : undefined
      if (pieces !== undefined) {
        more = true
        const bytes = new Uint8Array(joinBytes(pieces))
        side.outputs.push(bytes)
        for (const run of this.#wire(bytes, side.name)) this.deliver(this.other(side), run)
      }
      some ||= more
    }
    return some
  }

  /** Puts bytes on the wire to one side, as if the other had sent them. */
  deliver(to: Side, bytes: Uint8Array): void {
    this.#inFlight.push({ at: this.now + this.#delayMs, to, bytes: new Uint8Array(bytes) })
  }

  /** Lets everything happen that happens now. */
  settle(): void {
    for (let more = true; more;) {
      const drainedA = this.drain(this.initiator)
      const drainedB = this.drain(this.responder)
      more = drainedA || drainedB
      const due = this.#inFlight.findIndex(({ at, to }) => at <= this.now && to.session.wantsInput)
      if (due >= 0) {
        more = true
        const [delivery] = this.#inFlight.splice(due, 1)
        if (delivery !== undefined) delivery.to.session.handleInput(this.now, delivery.bytes)
      }
    }
  }

  /** Lets so much time pass. */
  advance(ms: number): void {
    const end = this.now + ms
    this.settle()
    for (let same = 0; ;) {
      const next = Math.min(
        ...this.#inFlight.filter(({ to }) => to.session.wantsInput).map(({ at }) => at),
        this.initiator.session.nextTimeout() ?? Infinity,
        this.responder.session.nextTimeout() ?? Infinity,
      )
      if (next > end) break
      same = next <= this.now ? same + 1 : 0
      if (same > 100) throw new Error(`a deadline stays at ${next} although its time has come`)
      this.now = Math.max(this.now, next)
      for (const { session } of [this.initiator, this.responder]) {
        if ((session.nextTimeout() ?? Infinity) <= this.now) session.handleTimeout(this.now)
      }
      this.settle()
    }
    this.now = end
  }

  send(side: Side, packet: Uint8Array, priority: 0 | 1 | 2 | 3 = 2): string {
    return side.session.send(this.now, packet, { priority, delivery: 'reliable' })
  }
}

/** Bytes that tell messages apart. */
export function filled(length: number, seed = length): Uint8Array {
  const out = new Uint8Array(length)
  for (let i = 0; i < length; i++) out[i] = (seed * 31 + i * 7 + (i >>> 8)) & 0xff
  return out
}
