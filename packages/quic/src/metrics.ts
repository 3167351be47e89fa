import type { GaugeMetric, Metrics } from '@aiv/transport-api'

/** Names of all metrics of the QUIC transport. */
export const quicMetricNames = Object.freeze({
  /** Gauge: connections that are handed out and open. */
  connections: 'aiv_quic_connections',
  /** Counter, label `code`: how dials ended, `OK` or the code of the failure. */
  dials: 'aiv_quic_dials_total',
  /** Counter, label `reason`: strangers not let in: `admission`, `connections`, `address`. */
  refused: 'aiv_quic_refused_total',
  /** Counter, label `code`: how connections ended. */
  closed: 'aiv_quic_closed_total',
  /** Counter, label `outcome`: first flights with early data: `accepted`, `refused`. */
  early: 'aiv_quic_early_total',
  /** Counter, label `cause`: changes of a path: `migrated`, `rebound`, `exhausted`. */
  paths: 'aiv_quic_paths_total',
})

/** The metrics of one transport, or nothing when the program supplies none. */
export class QuicMetrics {
  readonly #metrics: Metrics | undefined
  readonly #connections: GaugeMetric | undefined

  constructor(metrics: Metrics | undefined) {
    this.#metrics = metrics
    this.#connections = metrics?.gauge(quicMetricNames.connections)
  }

  connections(count: number): void {
    this.#connections?.set(count)
  }

  count(name: Exclude<keyof typeof quicMetricNames, 'connections'>, label: Readonly<Record<string, string>>): void {
    this.#metrics?.counter(quicMetricNames[name], label).add(1)
  }
}
