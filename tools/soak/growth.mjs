/**
 * Whether something grows: a straight line through the samples after the first third, which is for warming up. Noise
 * bends the line, so that only a line counts that rises by more than `share` of where it begins and by more than
 * `least`, over the time that it is drawn through.
 */
export function growth(name, samples, of, { share, least }) {
  const used = samples.slice(Math.floor(samples.length / 3))
  if (used.length < 4) return { grows: false, text: `${name}: ${used.length} samples are too few to say anything` }
  const n = used.length
  const xs = used.map(({ at }) => at)
  const ys = used.map(of)
  const meanX = xs.reduce((sum, x) => sum + x, 0) / n
  const meanY = ys.reduce((sum, y) => sum + y, 0) / n
  let above = 0
  let below = 0
  for (let i = 0; i < n; i++) {
    above += (xs[i] - meanX) * (ys[i] - meanY)
    below += (xs[i] - meanX) ** 2
  }
  const slope = above / below
  const span = xs[n - 1] - xs[0]
  const rise = slope * span
  const start = meanY - slope * (meanX - xs[0])
  const grows = rise > Math.max(least, start * share)
  const round = (value) => (Math.abs(value) >= 1e5 ? `${(value / 2 ** 20).toFixed(2)} MiB` : value.toFixed(1))
  return {
    grows,
    text: `${name}: ${round(start)} at first, ${rise < 0 ? '' : '+'}${round(rise)} in ${(span / 1_000).toFixed(0)} s over ${n} samples${grows ? ': GROWS' : ''}`,
  }
}
