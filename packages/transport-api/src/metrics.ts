/** A handful of values each, fixed when the metric is made: a transport's name, a code. Never a peer's id. */
export type MetricLabels = Readonly<Record<string, string>>

/** Only goes up. */
export interface CounterMetric {
  add(amount: number): void
}

/** Goes up and down. */
export interface GaugeMetric {
  set(value: number): void
}

/** A distribution of observations. */
export interface HistogramMetric {
  observe(value: number): void
}

/** Handed in by the program; optional everywhere. Asking twice for one name and labels gives the same metric. */
export interface Metrics {
  counter(name: string, labels?: MetricLabels): CounterMetric
  gauge(name: string, labels?: MetricLabels): GaugeMetric
  histogram(name: string, labels?: MetricLabels): HistogramMetric
}
