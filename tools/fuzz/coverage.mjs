import { Session } from 'node:inspector'

/**
 * Says whether the code that ran since the last question had a block in it that never ran before. V8's precise coverage
 * with block counts is what Node offers for this: exact, but a few hundred times slower than the counters that a
 * compiler builds in, so that it is asked for (`--guided`) and finds its way with fewer inputs.
 */
export class CoverageGuide {
  #session = new Session()
  #seen = new Set()

  constructor() {
    this.#session.connect()
    this.#post('Profiler.enable')
    this.#post('Profiler.startPreciseCoverage', { callCount: true, detailed: true })
  }

  /** Places in the code that ran so far. */
  get size() {
    return this.#seen.size
  }

  isNew() {
    let fresh = false
    for (const { url, scriptId, functions } of this.#post('Profiler.takePreciseCoverage').result) {
      if (!url.includes('/packages/')) continue
      for (const { ranges } of functions) {
        for (const { startOffset, endOffset, count } of ranges) {
          if (count === 0) continue
          const place = `${scriptId} ${startOffset} ${endOffset}`
          if (this.#seen.has(place)) continue
          this.#seen.add(place)
          fresh = true
        }
      }
    }
    return fresh
  }

  close() {
    this.#session.disconnect()
  }

  /** Commands of the profiler are answered before `post` returns. */
  #post(method, parameters) {
    let answer
    this.#session.post(method, parameters, (error, result) => {
      if (error !== null) throw new Error(error.message)
      answer = result
    })
    return answer
  }
}
