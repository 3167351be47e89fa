import type { Clock, CloseReason, ConnectionHandler, Priority, Timer } from '@aiv/transport-api'
import { HtxConnection, type HtxLink, type HtxLinkHandler, type HtxSessionOptions } from '../src/index.js'
import { HtxSession, ReassemblyBudget, htxSessionOptions } from '../src/index.js'
import { testChannels } from './session-pair.js'

/** Time that moves when it is told to; counts the timers that were made. */
export class HandClock implements Clock {
  made = 0
  #now = 0
  #timers: { at: number; run: () => void }[] = []

  get running(): number {
    return this.#timers.length
  }

  now(): number {
    return this.#now
  }

  unixNow(): number {
    return 1_750_000_000_000 + this.#now
  }

  setTimeout(run: () => void, delayMs: number): Timer {
    const timer = { at: this.#now + delayMs, run }
    this.made++
    this.#timers.push(timer)
    return { clear: () => (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  /** Runs what is due in the next `ms`, in order, each followed by the microtasks that it made. */
  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    for (;;) {
      await Promise.resolve()
      const next = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter((other) => other !== next)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await Promise.resolve()
    }
    this.#now = until
  }
}

/** One end of a link in memory: what is written arrives after 1 ms, and at most `room` bytes are on their way. */
export class MemoryLink implements HtxLink {
  readonly local = undefined
  readonly remote = undefined
  other: MemoryLink | undefined
  readonly writes: number[] = []
  paused = false
  ended = false
  destroyed = false
  room = Infinity
  #underWay = 0
  #waiting = false
  #arrived: Uint8Array[] = []
  #endArrived = false
  #closed = false
  #handler: HtxLinkHandler | undefined

  /** @param clock - carries the bytes; not counted as the connection's timers. */
  constructor(private readonly clock: HandClock) {}

  attach(handler: HtxLinkHandler): void {
    this.#handler = handler
  }

  write(pieces: readonly Uint8Array[]): boolean {
    const bytes = Uint8Array.from(pieces.flatMap((piece) => [...piece]))
    this.writes.push(bytes.length)
    if (this.destroyed) return false
    this.#underWay += bytes.length
    this.#carry(() => this.other?.arrive(bytes))
    this.#waiting = this.#underWay >= this.room
    return !this.#waiting
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.#giveOut()
  }

  end(): void {
    this.ended = true
    this.#carry(() => this.other?.arriveEnd())
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#carry(() => this.other?.arriveEnd())
    this.close()
  }

  close(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    this.#handler?.onClosed(error)
  }

  taken(bytes: number): void {
    this.#underWay -= bytes
    if (!this.#waiting || this.#underWay >= this.room) return
    this.#waiting = false
    this.#handler?.onWritable()
  }

  arrive(bytes: Uint8Array): void {
    this.#arrived.push(bytes)
    this.#giveOut()
  }

  arriveEnd(): void {
    this.#endArrived = true
    this.#giveOut()
  }

  #giveOut(): void {
    while (!this.paused && !this.#closed) {
      const bytes = this.#arrived.shift()
      if (bytes === undefined) break
      this.other?.taken(bytes.length)
      this.#handler?.onInput(bytes)
    }
    if (!this.#endArrived || this.#arrived.length > 0 || this.paused) return
    if (!this.ended && !this.destroyed) this.end()
    this.close()
  }

  #carry(run: () => void): void {
    this.clock.setTimeout(run, 1)
  }
}

/** A handler that keeps what it is told, in order. */
export class Listener implements ConnectionHandler {
  readonly heard: string[] = []
  readonly packets: Uint8Array[] = []
  closed: CloseReason | undefined
  whenPacket: ((bytes: Uint8Array) => void) | undefined

  onPacket(bytes: Uint8Array): void {
    this.heard.push('packet')
    this.packets.push(bytes)
    this.whenPacket?.(bytes)
  }

  onDrain(lowest: Priority): void {
    this.heard.push(`drain ${lowest}`)
  }

  onSent(tag: number): void {
    this.heard.push(`sent ${tag}`)
  }

  onLiveness(state: 'alive' | 'suspect'): void {
    this.heard.push(state)
  }

  onClosed(reason: CloseReason): void {
    this.heard.push(`closed ${reason.by}`)
    this.closed = reason
  }
}

export interface End {
  readonly connection: HtxConnection
  readonly link: MemoryLink
  readonly clock: HandClock
  /** What the owner was told. */
  readonly told: string[]
}

/** Two connections over two links in memory, started and established, nobody attached; `wire` carries the bytes. */
export async function linkedPair(
  options?: HtxSessionOptions,
): Promise<{ near: End; far: End; wire: HandClock; pass: (ms: number) => Promise<void> }> {
  const wire = new HandClock()
  const make = (role: 'initiator' | 'responder', seed: number): End => {
    const clock = new HandClock()
    const link = new MemoryLink(wire)
    const told: string[] = []
    const session = new HtxSession(0, {
      role,
      secure: testChannels(seed).secure,
      expected: undefined,
      remoteStatic: undefined,
      options: htxSessionOptions(options),
      budget: new ReassemblyBudget(),
      compressor: undefined,
    })
    const path = Object.freeze({
      hops: 1,
      maxPacketBytes: 1024,
      unsegmentedBytes: 1024,
      maxDatagramBytes: 0,
      metered: false,
      local: undefined,
      remote: undefined,
    })
    const connection = new HtxConnection({
      transport: 'memory',
      direction: role === 'initiator' ? 'dialled' : 'accepted',
      session,
      early: false,
      link,
      clock,
      path,
      owner: {
        onEstablished: () => told.push('established'),
        onClosed: (_, reason) => told.push(`closed ${reason.by}`),
        onDown: () => told.push('down'),
      },
    })
    return { connection, link, clock, told }
  }
  const near = make('initiator', 1)
  const far = make('responder', 2)
  near.link.other = far.link
  far.link.other = near.link
  const pass = async (ms: number): Promise<void> => {
    for (let i = 0; i < ms; i++) {
      await wire.pass(1)
      await near.clock.pass(1)
      await far.clock.pass(1)
    }
  }
  far.connection.start()
  near.connection.start()
  await pass(10)
  return { near, far, wire, pass }
}
