import type { RadioFrame, SeededRandom } from '@aiv/testkit'
import type { Bench, Rules, Station } from './bench.js'

/**
 * Relay rules of others, as far as their documents say, for a directed message of the size of ours. They carry a number
 * where a real packet has ids, and none is encrypted: what is compared is who passes on what, and when.
 */
const FRAME_BYTES = 161
const MAX_HOPS = 7

interface Packet {
  readonly message: number
  readonly source: number
  readonly destination: number
  readonly hopLimit: number
  /** An acknowledgement of that message. */
  readonly isAck: boolean
}

function encode({ message, source, destination, hopLimit, isAck }: Packet): Uint8Array {
  const bytes = new Uint8Array(isAck ? 61 : FRAME_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, message)
  view.setUint16(4, source)
  view.setUint16(6, destination)
  view.setUint8(8, hopLimit)
  view.setUint8(9, isAck ? 1 : 0)
  return bytes
}

function decode(bytes: Uint8Array): Packet {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return {
    message: view.getUint32(0),
    source: view.getUint16(4),
    destination: view.getUint16(6),
    hopLimit: view.getUint8(8),
    isAck: view.getUint8(9) === 1,
  }
}

const keyOf = ({ message, isAck }: Packet): number => message * 2 + (isAck ? 1 : 0)
const numberOf = (name: string): number => Number(name.slice(1))

/** Everybody passes everything on, once, to all neighbours but the one it came from. */
export const flooding: Rules = (bench, name) => {
  const seen = new Set<number>()
  const pass = (packet: Packet, from: string | undefined): void => {
    for (const to of bench.linksOf(name)) if (to !== from) bench.overLink(name, to, encode(packet), 'data')
  }
  return {
    send(to, message) {
      seen.add(message * 2)
      pass({ message, source: numberOf(name), destination: numberOf(to), hopLimit: MAX_HOPS, isAck: false }, undefined)
    },
    receive({ from, bytes }) {
      const packet = decode(bytes)
      if (seen.has(keyOf(packet))) return
      seen.add(keyOf(packet))
      if (packet.destination === numberOf(name)) return bench.arrived(packet.message)
      if (packet.hopLimit > 1) pass({ ...packet, hopLimit: packet.hopLimit - 1 }, from)
    },
  }
}

/** The same, where one transmission reaches all in range: after a moment of chance, else all would speak at once. */
export const broadcastFlooding: Rules = (bench, name) => {
  const random = bench.random(`flooding ${name}`)
  const seen = new Set<number>()
  return {
    send(to, message) {
      seen.add(message * 2)
      const packet = { message, source: numberOf(name), destination: numberOf(to), hopLimit: MAX_HOPS, isAck: false }
      bench.broadcast(name, encode(packet), 'data')
    },
    receive({ bytes }) {
      const packet = decode(bytes)
      if (seen.has(keyOf(packet))) return
      seen.add(keyOf(packet))
      if (packet.destination === numberOf(name)) return bench.arrived(packet.message)
      if (packet.hopLimit === 1) return
      const onward = encode({ ...packet, hopLimit: packet.hopLimit - 1 })
      bench.world.schedule(bench.world.now() + random.uniform() * 100, () => bench.broadcast(name, onward, 'data'))
    },
  }
}

/**
 * bitchat as deployed, for directed packets: straight to the destination where it is a neighbour, else to all but the one
 * it came from, after 20 to 60 ms, given up when a copy comes meanwhile and there are more than two neighbours. Without
 * its source routes, which are tried first where all nodes on the way announce them.
 */
export const bitchatRules: Rules = (bench, name) => {
  const random = bench.random(`bitchat ${name}`)
  const waiting = new Map<number, { clear(): void } | undefined>()
  const pass = (packet: Packet, from: string | undefined): void => {
    const links = bench.linksOf(name)
    const direct = links.find((to) => numberOf(to) === packet.destination)
    for (const to of direct === undefined ? links : [direct]) {
      if (to !== from) bench.overLink(name, to, encode(packet), 'data')
    }
  }
  return {
    send(to, message) {
      waiting.set(message * 2, undefined)
      pass({ message, source: numberOf(name), destination: numberOf(to), hopLimit: MAX_HOPS, isAck: false }, undefined)
    },
    receive({ from, bytes }) {
      const packet = decode(bytes)
      const key = keyOf(packet)
      if (waiting.has(key)) {
        if (bench.linksOf(name).length > 2) waiting.get(key)?.clear()
        return
      }
      waiting.set(key, undefined)
      if (packet.destination === numberOf(name)) return bench.arrived(packet.message)
      if (packet.hopLimit === 1) return
      const onward = { ...packet, hopLimit: packet.hopLimit - 1 }
      const at = bench.world.now() + 20 + random.uniform() * 40
      waiting.set(
        key,
        bench.world.schedule(at, () => pass(onward, from)),
      )
    },
  }
}

/** A slot of the contention window: the time on air of one of these frames, since that is what a radio can notice. */
const SLOT_MS = 1.4
const WINDOW = { smallest: 3, largest: 8, weakDbm: -92, strongDbm: -62 }
const TRIES = 3
const RETRY_MS = 3_000

/**
 * Meshtastic's managed flooding, with its hop limit at the largest value: one transmission reaches all in range; whoever
 * hears the stronger signal waits longer, and gives up when somebody else was first; the source repeats up to twice until
 * it has heard its packet passed on (near the destination: until the acknowledgement comes). Without the next hops that
 * newer versions learn. Its contention window is that of clients, on Bluetooth's air instead of LoRa's.
 */
export const meshtasticRules: Rules = (bench, name) => new MeshtasticNode(bench, name)

class MeshtasticNode implements Station {
  readonly #bench: Bench
  readonly #name: string
  readonly #random: SeededRandom
  readonly #waiting = new Map<number, { clear(): void } | undefined>()
  readonly #heardRelayed = new Set<number>()

  constructor(bench: Bench, name: string) {
    this.#bench = bench
    this.#name = name
    this.#random = bench.random(`meshtastic ${name}`)
  }

  send(to: string, message: number): void {
    const packet = {
      message,
      source: numberOf(this.#name),
      destination: numberOf(to),
      hopLimit: MAX_HOPS,
      isAck: false,
    }
    this.#try(packet, 1)
  }

  receive({ bytes, rssi }: RadioFrame): void {
    const packet = decode(bytes)
    const key = keyOf(packet)
    if (packet.source === numberOf(this.#name)) {
      this.#heardRelayed.add(key)
      return
    }
    if (this.#waiting.has(key)) {
      this.#waiting.get(key)?.clear()
      return
    }
    this.#waiting.set(key, undefined)
    if (packet.destination === numberOf(this.#name)) {
      if (packet.isAck) {
        this.#heardRelayed.add(packet.message * 2)
        this.#bench.confirmed.add(packet.message)
        return
      }
      this.#bench.arrived(packet.message)
      const { source: destination, destination: source, message } = packet
      this.#try({ message, source, destination, hopLimit: MAX_HOPS, isAck: true }, 1)
      return
    }
    if (packet.hopLimit === 1) return
    const onward = encode({ ...packet, hopLimit: packet.hopLimit - 1 })
    const { smallest, largest, weakDbm, strongDbm } = WINDOW
    const strength = Math.min(1, Math.max(0, (rssi - weakDbm) / (strongDbm - weakDbm)))
    const exponent = Math.round(smallest + strength * (largest - smallest))
    const slots = 2 * largest + Math.floor(this.#random.uniform() * 2 ** exponent)
    this.#waiting.set(
      key,
      this.#later(slots * SLOT_MS, () => this.#transmit(onward, packet.isAck)),
    )
  }

  #try(packet: Packet, attempt: number): void {
    const key = keyOf(packet)
    this.#waiting.set(key, undefined)
    this.#transmit(encode(packet), packet.isAck)
    if (attempt === TRIES) return
    this.#later(RETRY_MS, () => {
      if (!this.#heardRelayed.has(key)) this.#try(packet, attempt + 1)
    })
  }

  #transmit(bytes: Uint8Array, isAck: boolean): void {
    // a busy channel: another slot
    if (this.#bench.air.isBusy(this.#name)) {
      this.#later(SLOT_MS * (1 + Math.floor(this.#random.uniform() * 8)), () => this.#transmit(bytes, isAck))
      return
    }
    this.#bench.broadcast(this.#name, bytes, isAck ? 'proof' : 'data')
  }

  #later(ms: number, run: () => void): { clear(): void } {
    return this.#bench.world.schedule(this.#bench.world.now() + ms, run)
  }
}
