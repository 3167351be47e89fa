import { type Millis, SourceRates } from '@aiv/transport-api'
import type { UnvalidatedLimits } from './quic-engine.js'

/** Sources whose rate is remembered. */
const REMEMBERED_HOSTS = 8192

/** `retry`: ask it to show that it receives at its address, and keep nothing. `drop`: no answer. */
export type UnvalidatedVerdict<Entry> =
  | { readonly verdict: 'retry' }
  | { readonly verdict: 'drop' }
  | { readonly verdict: 'admit'; readonly evicted: Entry | undefined }

/** Which unfinished handshakes a listener keeps. Decides only. */
export class UnvalidatedPeers<Entry> {
  readonly #limits: UnvalidatedLimits
  readonly #hosts = new Map<string, Set<Entry>>()
  readonly #rates: SourceRates
  #size = 0

  constructor(limits: UnvalidatedLimits) {
    this.#limits = limits
    const { perHostPerSecond: perSecond, perHostBurst: burst } = limits
    this.#rates = new SourceRates({ perSecond, burst, remembered: REMEMBERED_HOSTS })
  }

  get size(): number {
    return this.#size
  }

  /** Changes nothing but the rate. `proven`: it came with a token of ours. */
  ask(now: Millis, host: string, proven: boolean): UnvalidatedVerdict<Entry> {
    const { retryAbove, perHost, total } = this.#limits
    const own = this.#hosts.get(host)
    // Whoever forges source addresses fills half the places of a host at most: the rest is for those who answered
    const crowded = this.#size >= retryAbove || (own !== undefined && own.size >= perHost / 2)
    if (crowded && !proven) return { verdict: 'retry' }
    if (!this.#rates.take(now, host)) return { verdict: 'drop' }
    if (own !== undefined && own.size >= perHost) return { verdict: 'admit', evicted: first(own) }
    return this.#size >= total ? { verdict: 'drop' } : { verdict: 'admit', evicted: undefined }
  }

  add(host: string, entry: Entry): void {
    const own = this.#hosts.get(host)
    if (own === undefined) this.#hosts.set(host, new Set([entry]))
    else own.add(entry)
    this.#size++
  }

  /** Its handshake ended, one way or the other. Does nothing for one that is not here. */
  remove(host: string, entry: Entry): void {
    const own = this.#hosts.get(host)
    if (own === undefined || !own.delete(entry)) return
    this.#size--
    if (own.size === 0) this.#hosts.delete(host)
  }
}

function first<T>(values: Iterable<T>): T | undefined {
  for (const value of values) return value
  return undefined
}
