import type { ConnectionHandler, PacketInfo } from '@aiv/transport-api'
import { Fifo } from './fifo.js'
import type { HtxSessionEvent } from './session-events.js'

/** Packets that came one after another, with nothing else between them. */
class PacketRun {
  /** Never used: see docs/decisions/0146-one-of-them-stays-alive.md. */
  static readonly alwaysAlive = new PacketRun([])
  /** So many of them were taken. */
  taken = 0
  constructor(readonly packets: Uint8Array[]) {}
}

/**
 * What a session has to tell, in order. A packet is only its bytes in here and a tag that was sent its number, and
 * packets that follow each other are one run: thousands come in a turn, and an object or a place of its own for each
 * would cost as much as reading it.
 */
export class EventQueue {
  readonly #queue = new Fifo<HtxSessionEvent | PacketRun | number>()
  /** The youngest of all, where that is one. */
  #run: PacketRun | undefined

  get isEmpty(): boolean {
    return this.#queue.length === 0
  }

  /** A number stands for `sent` with that tag. */
  push(event: Exclude<HtxSessionEvent, { type: 'packet' }> | number): void {
    this.#run = undefined
    this.#queue.push(event)
  }

  pushPacket(bytes: Uint8Array): void {
    if (this.#run === undefined) this.pushPackets([bytes])
    else this.#run.packets.push(bytes)
  }

  /** The array is the queue's from here on. */
  pushPackets(packets: Uint8Array[]): void {
    this.#queue.push((this.#run = new PacketRun(packets)))
  }

  /**
   * Gives out the packets that are next, up to another event. What `handler` throws leaves the rest of them here.
   * Calls it from the loop and by nobody in between, who would be compiled with all that the handler does once more.
   */
  takePackets(handler: Pick<ConnectionHandler, 'onPacket'>, info: PacketInfo): void {
    for (let run; (run = this.#queue.peek()) instanceof PacketRun; this.#shift()) {
      const { packets } = run
      while (run.taken < packets.length) handler.onPacket(packets[run.taken++] as Uint8Array, info)
    }
  }

  /** Packets that were not taken are not told. The run in hand, when `takePackets` is what calls this, ends there. */
  dropPackets(): void {
    this.#queue.remove((event) => {
      if (event instanceof PacketRun) event.packets.length = 0
      return false
    })
  }

  shift(): HtxSessionEvent | undefined {
    const next = this.#queue.peek()
    if (!(next instanceof PacketRun)) {
      this.#queue.shift()
      return typeof next === 'number' ? { type: 'sent', tag: next } : next
    }
    // one whose last packet was taken by somebody who threw
    const bytes = next.packets[next.taken++]
    if (next.taken >= next.packets.length) this.#shift()
    return bytes === undefined ? this.shift() : { type: 'packet', bytes }
  }

  #shift(): void {
    if (this.#queue.shift() === this.#run) this.#run = undefined
  }
}
