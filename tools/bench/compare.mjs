// Runs adapters against each other over loopback: a fresh pair of processes for every figure, the adapters in turn
// within a round, so that what else the machine does hits all of them alike.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { figures } from './work.mjs'

const side = fileURLToPath(new URL('./side.mjs', import.meta.url))

/**
 * @param adapters `{ name, url }[]`
 * @param options `{ tests, rounds, base, work, onResult? }`: `base` is the name that ratios are taken against, `work`
 * goes to the adapters and the tests.
 * @returns one row for each test and adapter: medians over the rounds, and the median of the ratios to `base` within
 * the same round. A failed measurement is in `errors`, never left out silently.
 */
export async function compare(adapters, { tests, rounds, base, work, onResult = () => {} }) {
  const measured = []
  for (let round = 0; round < rounds; round++) {
    for (const test of tests) {
      for (const { name, url } of adapters) {
        const entry = { round, test, name, ...(await measure(url, test, work)) }
        measured.push(entry)
        onResult(entry)
      }
    }
  }
  return tests.flatMap((test) => adapters.map(({ name }) => summarise(measured, test, name, base)))
}

/** One row: medians over the rounds of one adapter in one test, and of its ratios to `base` within the same round. */
export function summarise(measured, test, name, base) {
  const of = (adapter) => measured.filter((entry) => entry.test === test && entry.name === adapter)
  const { key, unit, others } = figures[test]
  const own = of(name).filter(({ result }) => result !== undefined)
  const baseOf = new Map(of(base).flatMap(({ round, result }) => (result === undefined ? [] : [[round, result[key]]])))
  const ratios = own
    .filter(({ round }) => baseOf.has(round))
    .map(({ round, result }) => result[key] / baseOf.get(round))
  return {
    test,
    name,
    rounds: own.length,
    value: median(own.map(({ result }) => result[key])),
    unit,
    ratio: median(ratios),
    others: Object.fromEntries(
      Object.entries(others).map(([label, field]) => [label, median(own.map(({ result }) => result[field]))]),
    ),
    errors: [...new Set(of(name).flatMap(({ error }) => (error === undefined ? [] : [error])))],
  }
}

export function median(values) {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return undefined
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

async function measure(url, test, work) {
  const server = start('server', url, test, work)
  let client
  try {
    const { address } = await server.answer(20_000)
    client = start('client', url, test, { ...work, address })
    const { result } = await Promise.race([client.answer(work.limitMs * 2 + 30_000), server.fault])
    return { result }
  } catch (error) {
    return { error: error.message }
  } finally {
    await Promise.all([client?.stop(), server.stop()])
  }
}

function start(role, url, test, work) {
  const child = fork(side, [role, url, test, JSON.stringify(work)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  const said = []
  let hear
  child.on('message', (message) => (hear === undefined ? said.push(message) : hear(message)))
  /** Rejects when the child reports an error after its first answer, or ends. */
  const fault = new Promise((_, reject) => {
    child.on('message', ({ error }) => error !== undefined && reject(new Error(`${role}: ${error}`)))
    void ended.then((status) => reject(new Error(`${role} ended with ${status}`)))
  })
  fault.catch(() => {}) // its rejection matters only while somebody waits
  return {
    fault,
    answer(limitMs) {
      let timer
      const answered = new Promise((resolve, reject) => {
        hear = ({ error, ...message }) =>
          error === undefined ? resolve(message) : reject(new Error(`${role}: ${error}`))
        timer = setTimeout(() => reject(new Error(`${role}: no answer in ${limitMs / 1000} s`)), limitMs)
        for (const message of said.splice(0)) hear(message)
      })
      return Promise.race([answered, fault]).finally(() => clearTimeout(timer))
    },
    stop() {
      child.kill('SIGKILL')
      return ended
    },
  }
}
