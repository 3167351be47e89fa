// `npm run fuzz`: bends valid inputs of every decoder and looks at what each makes of them. What is guaranteed, and what
// is not: docs/decisions/0200-fuzzing.md. Needs `npm run build`.
//
//   --inputs N    inputs for each decoder, a tenth of them for key files              1,000,000
//   --seed TEXT   plays the same inputs again; printed at the start                  the date
//   --only NAME   decoders whose name has this in it
//   --jobs N      decoders at the same time                                          processors − 1
//   --guided      looks at the coverage of the code (V8), and bends those inputs further that reach more of it; slow
//   --input HEX   with --only: this one input instead
//   --list        the names
//
// Each decoder runs in a thread of its own, which the main one watches: an input that takes longer than HANG_MS is a
// failure with its bytes, like any other.
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

const HANG_MS = 20_000
/** In the shared memory: how many inputs were begun, the length of this one, its first bytes. */
const SHARED_INPUT_BYTES = 16_384

if (isMainThread) await main()
else {
  const { fuzz } = await import('./fuzz.mjs')
  try {
    parentPort.postMessage({ result: await fuzz(workerData) })
  } catch (error) {
    parentPort.postMessage({
      failure: { message: error.stack ?? String(error), input: error.input, index: error.index },
    })
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: new Date().toISOString() },
      only: { type: 'string', default: '' },
      jobs: { type: 'string', default: String(Math.max(1, availableParallelism() - 1)) },
      guided: { type: 'boolean', default: false },
      input: { type: 'string' },
      list: { type: 'boolean', default: false },
    },
  })
  const { shares, targetNames } = await import('./targets.mjs')
  const names = targetNames.filter((name) =>
    values.input === undefined ? name.includes(values.only) : name === values.only,
  )
  if (values.list) return console.log(names.join('\n'))
  const inputs = Number(values.inputs)
  if (!Number.isSafeInteger(inputs) || inputs < 1 || names.length === 0) {
    console.error(names.length === 0 ? `no decoder has "${values.only}" in its name` : '--inputs takes a number from 1')
    process.exitCode = 2
    return
  }
  setFlagsFromString('--expose-gc') // for the threads, so that memory is measured and not guessed
  console.log(`seed ${values.seed}   ${inputs.toLocaleString('en')} inputs for each of ${names.length} decoders`)
  console.log('decoder                  inputs   seconds  slowest ms   heap MiB          outcomes')
  const waiting = [...names]
  let passed = 0
  let failed = 0
  const work = async () => {
    for (let name; (name = waiting.shift()) !== undefined;) {
      const startedAt = process.hrtime.bigint()
      const { result, failure } = await runTarget({
        name,
        inputs: Math.ceil(inputs * (shares[name] ?? 1)),
        seed: values.seed,
        guided: values.guided,
        only: values.input,
      })
      const seconds = (Number(process.hrtime.bigint() - startedAt) / 1e9).toFixed(1)
      if (failure === undefined) {
        passed++
        const { slowestMs, heapBefore, heapAfter, outcomes } = result
        const heap = `${mib(heapBefore)} → ${mib(heapAfter)}`
        console.log(
          `${name.padEnd(20)} ${String(result.inputs).padStart(10)} ${seconds.padStart(9)} ${slowestMs.toFixed(1).padStart(11)}   ${heap.padEnd(16)}  ${outcomes}`,
        )
      } else {
        failed++
        console.log(`FAILED ${name} after ${seconds} s, input ${failure.index}: ${failure.message}`)
        if (failure.input !== undefined) {
          console.log(`  again: npm run fuzz -- --only ${name} --seed '${values.seed}' --input ${failure.input}`)
        }
      }
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work))
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed > 0 ? 1 : 0
}

/** One decoder in a thread; ends with what it found, or because it hangs. */
function runTarget(options) {
  const shared = new SharedArrayBuffer(8 + SHARED_INPUT_BYTES)
  const state = new Int32Array(shared, 0, 2)
  return new Promise((resolve) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { ...options, shared } })
    let seen = -1
    const watch = setInterval(() => {
      const index = Atomics.load(state, 0)
      if (index !== seen) return void (seen = index)
      if (index === 0) return // still loading
      const bytes = new Uint8Array(shared, 8, Math.min(Atomics.load(state, 1), SHARED_INPUT_BYTES))
      end({ failure: { message: `hangs for ${HANG_MS} ms`, index, input: Buffer.from(bytes).toString('hex') } })
    }, HANG_MS)
    const end = (answer) => {
      clearInterval(watch)
      void worker.terminate()
      resolve(answer)
    }
    worker.once('message', end)
    worker.once('error', (error) =>
      end({ failure: { message: error.stack ?? String(error), index: Atomics.load(state, 0) } }),
    )
  })
}

function mib(bytes) {
  return (bytes / 2 ** 20).toFixed(1)
}
