import type { CounterMetric, GaugeMetric, HistogramMetric, Metrics } from '@aiv/transport-api'

/**
 * What a node counts. Labels have few values: a transport's name, an error's code.
 *
 * | name | kind | labels |
 * |---|---|---|
 * | `p2p_messages_sent_total` | counter: accepted by a connection, repeats included | transport |
 * | `p2p_messages_received_total` | counter: given to the application | transport |
 * | `p2p_message_latency_seconds` | histogram: from `send` to the acknowledgement | transport |
 * | `p2p_errors_total` | counter: messages that were given up | code |
 * | `p2p_active_connections` | gauge | transport |
 * | `p2p_failovers_total` | counter | from |
 */
export class NodeMetrics {
  readonly #metrics: Metrics
  readonly #sent = new Map<string, CounterMetric>()
  readonly #received = new Map<string, CounterMetric>()
  readonly #latency = new Map<string, HistogramMetric>()
  readonly #connections = new Map<string, { readonly gauge: GaugeMetric; open: number }>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  sent(transport: string): void {
    known(this.#sent, transport, () => this.#metrics.counter('p2p_messages_sent_total', { transport })).add(1)
  }

  received(transport: string): void {
    known(this.#received, transport, () => this.#metrics.counter('p2p_messages_received_total', { transport })).add(1)
  }

  delivered(transport: string, elapsedMs: number): void {
    known(this.#latency, transport, () =>
      this.#metrics.histogram('p2p_message_latency_seconds', { transport }),
    ).observe(elapsedMs / 1000)
  }

  failed(code: string): void {
    this.#metrics.counter('p2p_errors_total', { code }).add(1)
  }

  failover(from: string): void {
    this.#metrics.counter('p2p_failovers_total', { from }).add(1)
  }

  connections(transport: string, change: 1 | -1): void {
    const entry = known(this.#connections, transport, () => ({
      gauge: this.#metrics.gauge('p2p_active_connections', { transport }),
      open: 0,
    }))
    entry.gauge.set((entry.open += change))
  }
}

function known<T>(all: Map<string, T>, name: string, make: () => T): T {
  let one = all.get(name)
  if (one === undefined) all.set(name, (one = make()))
  return one
}
