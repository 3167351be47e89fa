import { ArgumentError, type Millis, sourcePrefixes, SourceRates } from '@aiv/transport-api'

/** How many unfinished handshakes a listener holds, and how fast new ones may come. docs/wire/htx-session.md, Limits. */
export interface HalfOpenLimits {
  /** From one IPv4 address or IPv6 /64. @defaultValue 16 */
  readonly perHost: number
  /** From one IPv4 /24 or IPv6 /48. @defaultValue 64 */
  readonly perNetwork: number
  /** In all. @defaultValue 1024 */
  readonly total: number
  /** Of `total`: places that only known addresses may take. @defaultValue 256 */
  readonly reservedForKnown: number
  /** New handshakes per second from one IPv4 address or IPv6 /64, on average. `Infinity`: not limited. @defaultValue 20 */
  readonly handshakesPerSecond: number
  /** How many of them may come at once. @defaultValue 40 */
  readonly handshakeBurst: number
  /** Sources whose rate is remembered; when full, the one unseen for longest is forgotten. @defaultValue 8192 */
  readonly rememberedHosts: number
}

/** The limits of docs/wire/htx-session.md. */
export const defaultHalfOpenLimits: Readonly<HalfOpenLimits> = Object.freeze({
  perHost: 16,
  perNetwork: 64,
  total: 1024,
  reservedForKnown: 256,
  handshakesPerSecond: 20,
  handshakeBurst: 40,
  rememberedHosts: 8192,
})

/** @throws ArgumentError unless every limit can hold. */
export function verifyHalfOpenLimits(limits: Partial<HalfOpenLimits> = {}): HalfOpenLimits {
  const all = { ...defaultHalfOpenLimits, ...limits }
  const { handshakesPerSecond, reservedForKnown, ...counts } = all
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isSafeInteger(value) || value < 1) throw new ArgumentError(`${name}: ${value} is no count from 1`)
  }
  if (!Number.isSafeInteger(reservedForKnown) || reservedForKnown < 0 || reservedForKnown >= all.total) {
    throw new ArgumentError(`reservedForKnown: ${reservedForKnown} is not from 0 to below total (${all.total})`)
  }
  if (!(handshakesPerSecond > 0)) throw new ArgumentError(`handshakesPerSecond: ${handshakesPerSecond} is not above 0`)
  return all
}

/**
 * What to do with a newcomer. `admit`: take it, and close `evicted` if there is one. `refuse`: its source opens
 * handshakes too fast; close it without a word.
 */
export type HalfOpenVerdict<Entry> =
  { readonly verdict: 'admit'; readonly evicted: Entry | undefined } | { readonly verdict: 'refuse' }

interface Slot<Entry> {
  readonly entry: Entry
  readonly host: string
  readonly network: string
  readonly known: boolean
}

/**
 * Which unfinished handshakes a listener keeps. Decides only; whoever owns the links closes them.
 *
 * A full table never turns a newcomer away: it evicts the oldest of the fullest prefix, so that whoever floods pays for
 * the flood. Only the rate of one source refuses. docs/decisions/0140-half-open-limits.md
 */
export class HalfOpenTable<Entry> {
  readonly #limits: HalfOpenLimits
  /** All slots, oldest first. */
  readonly #slots = new Map<Entry, Slot<Entry>>()
  readonly #hosts = new Map<string, Set<Slot<Entry>>>()
  readonly #networks = new Map<string, Set<Slot<Entry>>>()
  readonly #strangers = new Crowd<Entry>()
  readonly #acquaintances = new Crowd<Entry>()
  readonly #rates: SourceRates

  constructor(limits: HalfOpenLimits = defaultHalfOpenLimits) {
    this.#limits = limits
    const { handshakesPerSecond: perSecond, handshakeBurst: burst, rememberedHosts: remembered } = limits
    this.#rates = new SourceRates({ perSecond, burst, remembered })
  }

  /** Unfinished handshakes held now. */
  get size(): number {
    return this.#slots.size
  }

  /** Sources whose rate is remembered now. */
  get rememberedHosts(): number {
    return this.#rates.size
  }

  /**
   * A new link from `address` asks for a place. `known`: a handshake from there succeeded before, so it may use the
   * reserved places.
   */
  admit(now: Millis, address: string | undefined, known: boolean, entry: Entry): HalfOpenVerdict<Entry> {
    const { host, network } = sourcePrefixes(address)
    if (!this.#rates.take(now, host)) return { verdict: 'refuse' }
    const victim = this.#victim(host, network, known)
    if (victim !== undefined) this.remove(victim.entry)
    this.#insert({ entry, host, network, known })
    return { verdict: 'admit', evicted: victim?.entry }
  }

  /** The handshake ended, one way or the other. Does nothing for an entry that is not here. */
  remove(entry: Entry): void {
    const slot = this.#slots.get(entry)
    if (slot === undefined) return
    this.#slots.delete(entry)
    drop(this.#hosts, slot.host, slot)
    drop(this.#networks, slot.network, slot)
    this.#crowd(slot).delete(slot)
  }

  #insert(slot: Slot<Entry>): void {
    this.#slots.set(slot.entry, slot)
    put(this.#hosts, slot.host, slot)
    put(this.#networks, slot.network, slot)
    this.#crowd(slot).add(slot)
  }

  #crowd({ known }: Slot<Entry>): Crowd<Entry> {
    return known ? this.#acquaintances : this.#strangers
  }

  /** At most one has to go: every insertion adds one, and all limits held before it. */
  #victim(host: string, network: string, known: boolean): Slot<Entry> | undefined {
    const { perHost, perNetwork, total, reservedForKnown } = this.#limits
    const ofHost = this.#hosts.get(host)
    if (ofHost !== undefined && ofHost.size >= perHost) return first(ofHost)
    const ofNetwork = this.#networks.get(network)
    if (ofNetwork !== undefined && ofNetwork.size >= perNetwork) return this.#oldestOfFullestHost(ofNetwork)
    const noRoom = !known && this.#strangers.size >= total - reservedForKnown
    if (!noRoom && this.#slots.size < total) return undefined
    // A known address is given up only when there is nobody else
    const crowd = this.#strangers.size > 0 ? this.#strangers : this.#acquaintances
    // By network first: one that owns a /48 spreads over its /64s
    return this.#oldestOfFullestHost(crowd.fullestNetwork())
  }

  /** Oldest slot of whichever host has most in all, among `slots` of one network, which come oldest first. */
  #oldestOfFullestHost(slots: Iterable<Slot<Entry>>): Slot<Entry> | undefined {
    let best: Slot<Entry> | undefined
    let most = 0
    for (const slot of slots) {
      const count = this.#hosts.get(slot.host)?.size ?? 0
      if (count <= most) continue
      best = slot
      most = count
    }
    return best
  }
}

function put<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key)
  if (set === undefined) map.set(key, new Set([value]))
  else set.add(value)
}

function drop<T>(map: Map<string, Set<T>>, key: string, value: T): void {
  const set = map.get(key)
  set?.delete(value)
  if (set?.size === 0) map.delete(key)
}

function first<T>(values: Iterable<T>): T | undefined {
  for (const value of values) return value
  return undefined
}

/**
 * Slots by network, and the networks by how many each has. A flood asks for the fullest with every connection, so that
 * going through all of them would be most of what a flood costs.
 */
class Crowd<Entry> {
  readonly #networks = new Map<string, Set<Slot<Entry>>>()
  /** At each count the networks that have so many slots, the one that came to it first in front. */
  readonly #byCount: Set<Set<Slot<Entry>>>[] = []
  #size = 0
  /** No network has more. */
  #most = 0

  get size(): number {
    return this.#size
  }

  add(slot: Slot<Entry>): void {
    let slots = this.#networks.get(slot.network)
    if (slots === undefined) this.#networks.set(slot.network, (slots = new Set()))
    this.#byCount[slots.size]?.delete(slots)
    slots.add(slot)
    this.#size++
    this.#place(slots)
  }

  delete(slot: Slot<Entry>): void {
    const slots = this.#networks.get(slot.network)
    if (slots === undefined) return
    this.#byCount[slots.size]?.delete(slots)
    slots.delete(slot)
    this.#size--
    if (slots.size === 0) this.#networks.delete(slot.network)
    else this.#place(slots)
    while (this.#most > 0 && this.#byCount[this.#most]?.size === 0) this.#most--
  }

  /** Its slots, oldest first; nothing of an empty crowd. */
  fullestNetwork(): Iterable<Slot<Entry>> {
    return first(this.#byCount[this.#most] ?? []) ?? []
  }

  #place(slots: Set<Slot<Entry>>): void {
    for (let count = this.#byCount.length; count <= slots.size; count++) this.#byCount.push(new Set())
    this.#byCount[slots.size]?.add(slots)
    this.#most = Math.max(this.#most, slots.size)
  }
}
