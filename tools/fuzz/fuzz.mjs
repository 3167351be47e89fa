// The loop of the fuzzer, for one decoder: make an input, look at what becomes of it, and keep inputs that came to
// something new, so that the next ones begin there.
import { SeededRandom } from '@aiv/testkit'
import { CoverageGuide } from './coverage.mjs'
import { makeInput } from './mutate.mjs'
import { loadTarget } from './targets.mjs'

/** What memory may grow by between the first quarter and the end, in bytes: noise of the machine, never a leak. */
const GROWTH_LIMIT_BYTES = 6 * 1024 * 1024
const MAX_CORPUS = 512
const MAX_KINDS = 2_000

/**
 * Resolves with figures, or rejects with an error that carries `input` in hexadecimal and its `index`.
 *
 * @param options - `name` of the target, `inputs`, `seed`, `guided`, `only` one input in hexadecimal, and `shared`
 * memory where a watcher can see the present input.
 */
export async function fuzz({ name, inputs, seed, guided = false, only, shared = new SharedArrayBuffer(8) }) {
  const random = new SeededRandom(`${seed} ${name}`)
  const target = await loadTarget(name, random)
  const corpus = target.seeds.slice()
  const state = new Int32Array(shared, 0, 2)
  const window = new Uint8Array(shared, 8)
  const kinds = new Map()
  const guide = guided ? new CoverageGuide() : undefined
  let slowestMs = 0
  let heapBefore = 0

  /** True when the input came to something that was not seen before. */
  const look = async (bytes, index) => {
    window.set(bytes.length > window.length ? bytes.subarray(0, window.length) : bytes)
    Atomics.store(state, 1, bytes.length)
    Atomics.store(state, 0, index + 1)
    const from = performance.now()
    let kind
    try {
      kind = target.run(bytes, random)
      if (kind instanceof Promise) kind = await kind
    } catch (fault) {
      const error = only === undefined ? await traced(bytes, fault) : fault
      throw Object.assign(error instanceof Error ? error : new Error(String(error)), {
        input: Buffer.from(bytes).toString('hex'),
        index,
      })
    }
    slowestMs = Math.max(slowestMs, performance.now() - from)
    const count = kinds.get(kind)
    if (count === undefined && kinds.size >= MAX_KINDS) return false
    kinds.set(kind, (count ?? 0) + 1)
    return count === undefined
  }

  /** Once more, for the sake of its stack: some inputs are cut at random, and need a few tries. */
  const traced = async (bytes, fault) => {
    Error.stackTraceLimit = 20
    for (let i = 0; i < 50; i++) {
      try {
        await target.run(bytes.slice(), random)
      } catch (error) {
        return error
      }
    }
    return fault
  }

  try {
    // where most inputs end in an error, stack traces are a third of the time
    Error.stackTraceLimit = only === undefined ? 0 : 20
    if (only !== undefined) {
      await look(new Uint8Array(Buffer.from(only, 'hex')), 0)
      return figures(1, 0)
    }
    for (const [index, bytes] of target.seeds.entries()) await look(bytes, index)
    for (let index = 0; index < inputs; index++) {
      const bytes = makeInput(random, corpus)
      const fresh = await look(bytes, index)
      if ((fresh || guide?.isNew() === true) && corpus.length < MAX_CORPUS) corpus.push(bytes.slice())
      if (index === Math.floor(inputs / 4)) heapBefore = await heap()
    }
    const heapAfter = await heap()
    if (heapBefore > 0 && heapAfter - heapBefore > GROWTH_LIMIT_BYTES) {
      throw new Error(`memory grew from ${heapBefore} to ${heapAfter} bytes`)
    }
    return figures(inputs, heapAfter)
  } finally {
    guide?.close()
    await target.close?.()
  }

  function figures(done, heapAfter) {
    const sorted = [...kinds].sort(([, a], [, b]) => b - a)
    const shown = sorted.slice(0, 4).map(([kind, count]) => `${kind} ${Math.round((100 * count) / done)} %`)
    const covered = guide === undefined ? '' : `, ${guide.size} places of code`
    return {
      inputs: done,
      slowestMs,
      heapBefore,
      heapAfter,
      outcomes: `${kinds.size}: ${shown.join(', ')}${covered}`,
    }
  }
}

/** Bytes in use after a collection; without `--expose-gc` nothing is measured. */
async function heap() {
  if (globalThis.gc === undefined) return 0
  // the memory of buffers is given back in a second round, by finalisers
  for (let i = 0; i < 3; i++) {
    globalThis.gc()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
