import type { GaugeMetric, Metrics } from '@aiv/transport-api'

/** Names of all metrics of an HTX transport; each has the label `transport`. */
export const transportMetricNames = Object.freeze({
  /** Gauge: connections that are handed out and open. */
  connections: 'aiv_htx_connections',
  /** Counter, label `code`: how dials ended, `OK` or the code of the failure. */
  dials: 'aiv_htx_dials_total',
  /** Counter, label `reason`: links not let in: `admission`, `connections`, `rate`, `evicted`. */
  refused: 'aiv_htx_refused_total',
  /** Counter, label `code`: how connections and handshakes ended. */
  closed: 'aiv_htx_closed_total',
})

/** The metrics of one transport, or nothing when the program supplies none. */
export class TransportMetrics {
  readonly #metrics: Metrics | undefined
  readonly #transport: string
  readonly #connections: GaugeMetric | undefined

  constructor(metrics: Metrics | undefined, transport: string) {
    this.#metrics = metrics
    this.#transport = transport
    this.#connections = metrics?.gauge(transportMetricNames.connections, { transport })
  }

  connections(count: number): void {
    this.#connections?.set(count)
  }

  dialled(code: string): void {
    this.#count(transportMetricNames.dials, { code })
  }

  refused(reason: string): void {
    this.#count(transportMetricNames.refused, { reason })
  }

  closed(code: string): void {
    this.#count(transportMetricNames.closed, { code })
  }

  #count(name: string, label: Readonly<Record<string, string>>): void {
    this.#metrics?.counter(name, { transport: this.#transport, ...label }).add(1)
  }
}
