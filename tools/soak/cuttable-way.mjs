import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/**
 * A way to `address` that leads over us, so that it can be cut: a listener that passes on what it gets. `cut` ends
 * every connection on it, with a reset or as if the other side had ended it, and says how many there were.
 */
export async function cuttableWay(address) {
  const target = new URL(address)
  const { hostname, port } = target
  const pairs = new Set()
  const server = createServer((socket) => {
    const other = connect(Number(port), hostname)
    const pair = { socket, other }
    pairs.add(pair)
    const end = () => {
      pairs.delete(pair)
      socket.destroy()
      other.destroy()
    }
    for (const [from, to] of [
      [socket, other],
      [other, socket],
    ]) {
      from.setNoDelay(true)
      from.on('error', end)
      from.on('close', end)
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  target.hostname = '127.0.0.1'
  target.port = String(server.address().port)
  return {
    address: target.href,
    cut(hard) {
      const count = pairs.size
      for (const { socket, other } of pairs) {
        for (const one of [socket, other]) {
          if (hard) one.resetAndDestroy()
          else one.end()
        }
      }
      return count
    },
    async close() {
      for (const { socket, other } of pairs) {
        socket.destroy()
        other.destroy()
      }
      server.close()
      await once(server, 'close')
    },
  }
}
