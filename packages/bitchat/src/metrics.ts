import type { GaugeMetric, Metrics } from '@aiv/transport-api'
import type { MeshCounters } from './mesh-types.js'

/** Names of all metrics of a mesh transport. */
export const bitchatMetricNames = Object.freeze({
  /** Gauge: links to neighbours. */
  links: 'aiv_bitchat_links',
  /** Gauge: connections across the mesh that are open. */
  connections: 'aiv_bitchat_connections',
  /** Gauge: nodes whose announcements are known. */
  peers: 'aiv_bitchat_peers',
  /** Gauge: packets kept for absent nodes. */
  stored: 'aiv_bitchat_stored_packets',
  /** Counter: packets given to links. */
  transmitted: 'aiv_bitchat_transmitted_total',
  /** Counter: packets of others among them. */
  relayed: 'aiv_bitchat_relayed_total',
  /** Counter, label `reason`: packets that came to nothing. */
  dropped: 'aiv_bitchat_dropped_total',
  /** Counter, label `code`: how dials ended, `OK` or the code of the failure. */
  dials: 'aiv_bitchat_dials_total',
})

/** What is told to the program's metrics, when there are any. */
export class BitchatMetrics {
  readonly #metrics: Metrics | undefined
  readonly #told = new Map<string, number>()
  readonly #gauges = new Map<string, GaugeMetric>()

  constructor(metrics: Metrics | undefined) {
    this.#metrics = metrics
  }

  gauge(name: 'links' | 'connections' | 'peers' | 'stored', value: number): void {
    if (this.#metrics === undefined) return
    const gauge = this.#gauges.get(name) ?? this.#metrics.gauge(bitchatMetricNames[name])
    this.#gauges.set(name, gauge)
    gauge.set(value)
  }

  dialled(code: string): void {
    this.#metrics?.counter(bitchatMetricNames.dials, { code }).add(1)
  }

  /** What the mesh has counted since it was told of last. */
  counters(counters: MeshCounters): void {
    if (this.#metrics === undefined) return
    this.#add(bitchatMetricNames.transmitted, counters.transmitted)
    this.#add(bitchatMetricNames.relayed, counters.relayed)
    for (const [reason, count] of Object.entries(counters.dropped)) this.#add(bitchatMetricNames.dropped, count, reason)
  }

  #add(name: string, total: number, reason?: string): void {
    const key = `${name} ${reason ?? ''}`
    const amount = total - (this.#told.get(key) ?? 0)
    if (amount === 0) return
    this.#told.set(key, total)
    this.#metrics?.counter(name, reason === undefined ? undefined : { reason }).add(amount)
  }
}
