import { MAX_TTL, PacketType } from './packet.js'

/** What the decision to relay depends on. */
export interface RelaySituation {
  readonly type: number
  /** As received. */
  readonly ttl: number
  /** Addressed to one peer, which is not us. */
  readonly directed: boolean
  /** Our direct neighbours. */
  readonly degree: number
  /** Peers known in all. */
  readonly networkSize: number
  /** `degree`: iOS, every packet with a lower TTL where it is dense. `probability`: Android, by chance near its end. */
  readonly rules: 'degree' | 'probability'
  /** Two draws from [0, 1): whether, and when. */
  readonly chance: readonly [number, number]
}

/** Relay it with this TTL, after this time. */
export interface RelayDecision {
  readonly ttl: number
  readonly delayMs: number
}

/** `undefined`: not relayed. Numbers: docs/wire/bitchat-compatible.md, section Relaying. */
export function decideRelay(situation: RelaySituation): RelayDecision | undefined {
  const { type, directed, degree, networkSize, rules } = situation
  const [whether, when] = situation.chance
  // a TTL is not signed: somebody could write 255
  const ttl = Math.min(situation.ttl, MAX_TTL)
  if (ttl <= 1 || type === PacketType.RequestSync) return undefined
  const handshake = type === PacketType.NoiseHandshake
  const always = handshake || directed
  const left = Math.min(ttl, always ? MAX_TTL : ttlCap(type, degree)) - 1
  if (left < 1) return undefined
  if (rules === 'probability' && !always && left < 4 && whether >= relayProbability(networkSize)) return undefined
  const [from, to] = delayRange(type, directed, degree)
  return { ttl: left, delayMs: from + when * (to - from) }
}

function ttlCap(type: number, degree: number): number {
  const dense = degree >= 6
  if (type === PacketType.Fragment) return dense ? 5 : MAX_TTL
  if (dense) return 5
  return degree <= 2 || type === PacketType.Announce ? MAX_TTL : 6
}

function delayRange(type: number, directed: boolean, degree: number): readonly [number, number] {
  if (type === PacketType.NoiseHandshake) return [10, 35]
  if (type === PacketType.Fragment) return [8, 25]
  if (directed) return [20, 60]
  if (degree <= 2) return [10, 40]
  if (degree <= 5) return [60, 150]
  return degree <= 9 ? [80, 180] : [100, 220]
}

function relayProbability(networkSize: number): number {
  if (networkSize <= 10) return 1
  if (networkSize <= 30) return 0.85
  if (networkSize <= 50) return 0.7
  return networkSize <= 100 ? 0.55 : 0.4
}

/** Links that a broadcast message goes to, of `links`: all of one or two, else ⌈log2 n⌉ + 1. */
export function fanOut(links: number): number {
  return links <= 2 ? links : Math.min(links, Math.ceil(Math.log2(links)) + 1)
}
