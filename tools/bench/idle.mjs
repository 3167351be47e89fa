// What an idle connection costs the process that accepted it. Needs `npm run build`.
//
//   node tools/bench/idle.mjs [--adapter htx] [--connections 10000] [--clients 4] [--snapshot FILE]
//
// The listener is a process of its own, and so are those who connect. Every connection asks for one echo, so that it has
// been used; then all are silent. What grew between the first and the last look, both after a forced collection, is
// divided by the connections. Buffers of the system's sockets are not in it: they belong to the kernel.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { spawnSync } from 'node:child_process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'

/** Resolves with bytes for each connection: `rss`, and of it `heap` (objects of JavaScript) and `external` (buffers). */
export async function idle({ adapter = 'htx', connections = 10_000, clients = 4, snapshot } = {}) {
  const children = []
  const start = (...args) => {
    const child = fork(fileURLToPath(new URL('idle-side.mjs', import.meta.url)), args)
    children.push(child)
    const files = String(connections + 1_000)
    spawnSync('prlimit', ['--pid', String(child.pid), `--nofile=${files}:${files}`])
    return child
  }
  const answer = async (child) => {
    const ended = once(child, 'exit').then(([code]) => [{ error: `it ended with ${code}` }])
    const [message] = await Promise.race([once(child, 'message'), ended])
    if (message.error !== undefined) throw new Error(message.error)
    return message
  }
  try {
    const url = new URL(`adapters/${adapter}.mjs`, import.meta.url).href
    const server = start('server', url)
    const { address } = await answer(server)
    const look = (question = {}) => {
      server.send(question)
      return answer(server)
    }
    const connect = async (count) => {
      const each = Math.ceil(count / clients)
      await Promise.all(
        Array.from({ length: clients }, (_, i) =>
          answer(start('client', url, JSON.stringify(address), String(Math.min(each, count - i * each)))),
        ),
      )
    }
    // what is compiled and allocated once is no part of a connection
    await connect(clients * 50)
    for (const child of children) if (child !== server) child.kill('SIGKILL')
    const before = await look()
    await connect(connections)
    const after = await look({ snapshot })
    const per = (figure) => (after[figure] - before[figure]) / connections
    return {
      connections: after.accepted - before.accepted,
      rss: per('rss'),
      heap: per('heap'),
      external: per('external'),
    }
  } finally {
    for (const child of children) child.kill('SIGKILL')
  }
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { values } = parseArgs({
    options: {
      adapter: { type: 'string', default: 'htx' },
      connections: { type: 'string', default: '10000' },
      clients: { type: 'string', default: '4' },
      snapshot: { type: 'string' },
    },
  })
  const { connections, rss, heap, external } = await idle({
    ...values,
    connections: Number(values.connections),
    clients: Number(values.clients),
  })
  const kib = (bytes) => (bytes / 1_024).toFixed(1)
  console.log(
    `${values.adapter}: ${connections} idle connections, ${kib(rss)} KiB each (heap ${kib(heap)}, buffers ${kib(external)})`,
  )
}
