// A listener in a process of its own, others that keep ten thousand connections to it in the middle of a handshake, and
// one more that dials it honestly all the while.
import { fork, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { constants, setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'

export const CONNECTIONS = 10_000
/** Each has a quarter of the connections: one process could not keep up with the listener. */
const ATTACKERS = 4
/** Of all attackers: ten thousand stand after five seconds, and what is closed is opened again as fast. */
const OPENS_PER_SECOND = 2_000
const FILES_NEEDED = 16_384

/** Where the connections come from, all of 127/8 being this machine, and how many of them the listener may hold. */
export const floods = [
  { name: 'one address', most: 16, source: () => '127.9.9.9' },
  { name: 'one prefix, a /24', most: 64, source: (i) => `127.9.8.${1 + (i % 250)}` },
  { name: 'ten thousand prefixes', most: 768, source: (i) => `127.${10 + (i >>> 8)}.${i & 255}.1` },
]

/**
 * Dials before the flood (`calm`), while it comes up and for `seconds` of it (`dials`).
 *
 * @returns `calm` and `dials`, each `{ ms, code, stranger }`, the flood's own figures, and those of the attacked process before
 * (`before`), at its highest (`most`) and after a collection at the end (`end`).
 */
export async function flood({ source }, { seconds }) {
  const children = []
  const start = (script, ...args) => {
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), args, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    children.push(child)
    child.once('exit', () => failed.push(script))
    // from this process on, whatever the shell allowed
    spawnSync('prlimit', ['--pid', String(child.pid), `--nofile=${FILES_NEEDED}:${FILES_NEEDED}`])
    return child
  }
  const failed = []
  try {
    const listener = start('listener.mjs')
    const [{ address }] = await once(listener, 'message')
    const ask = async (child, question = {}) => {
      child.send(question)
      const [answer] = await once(child, 'message')
      return answer
    }
    const honest = start('honest.mjs', address)
    const dials = []
    honest.on('message', (dial) => dials.push(dial))
    while (dials.length < 6) await once(honest, 'message')
    const calm = dials.splice(0)
    const before = await ask(listener, { collect: true })

    const sources = Array.from({ length: CONNECTIONS }, (_, i) => source(i))
    const { port } = new URL(address)
    const attackers = Array.from({ length: ATTACKERS }, (_, own) =>
      start(
        'attacker.mjs',
        port,
        String(OPENS_PER_SECOND / ATTACKERS),
        JSON.stringify(sources.filter((_, i) => i % ATTACKERS === own)),
      ),
    )
    // they stand for other machines: what they need is not to be taken from the one that they attack
    for (const { pid } of attackers) setPriority(pid, constants.priority.PRIORITY_LOW)
    await Promise.all(attackers.map((attacker) => once(attacker, 'message')))
    const most = { ...before }
    const until = Date.now() + seconds * 1_000
    while (Date.now() < until && failed.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 500))
      const now = await ask(listener)
      for (const [figure, value] of Object.entries(now)) most[figure] = Math.max(most[figure], value)
    }
    const end = await ask(listener, { collect: true })
    const figures = await Promise.all(attackers.map((attacker) => ask(attacker)))
    const total = (figure) => figures.reduce((sum, one) => sum + one[figure], 0)
    return {
      calm,
      dials,
      failed: failed.slice(),
      before,
      most,
      end,
      opened: total('opened'),
      bytes: total('bytes'),
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await Promise.all(children.map((child) => child.exitCode ?? child.signalCode ?? once(child, 'exit')))
  }
}
