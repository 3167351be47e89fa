// A network in one process, between a dialler and a listener on loopback: delay, loss, other source ports.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'

const buffers = { recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 }

/**
 * @param target port of the listener on 127.0.0.1
 * @param options `delayMs` and `loss` (0 to 1) each way; `bytesPerSecond` of the way there, behind a queue of 100 ms
 */
export async function udpProxy(target, { delayMs = 0, loss = 0, bytesPerSecond = Infinity } = {}) {
  const front = createSocket({ type: 'udp4', ...buffers })
  front.bind(0, '127.0.0.1')
  await once(front, 'listening')
  let backs = new Map()
  let freeAt = 0
  let closed = false
  const pass = (bytes, send, there) => {
    if (Math.random() < loss) return
    let wait = delayMs
    if (there && bytesPerSecond < Infinity) {
      const now = performance.now()
      freeAt = Math.max(freeAt, now) + (bytes.length / bytesPerSecond) * 1000
      if (freeAt - now > 100) {
        freeAt -= (bytes.length / bytesPerSecond) * 1000
        return
      }
      wait += freeAt - now
    }
    if (wait < 0.5) send()
    else setTimeout(() => closed || send(), wait)
  }
  const backFor = (from) => {
    let back = backs.get(from)
    if (back === undefined) {
      back = createSocket({ type: 'udp4', ...buffers })
      back.on('message', (bytes) => pass(bytes, () => front.send(bytes, from, '127.0.0.1'), false))
      backs.set(from, back)
    }
    return back
  }
  front.on('message', (bytes, { port }) => pass(bytes, () => backFor(port).send(bytes, target, '127.0.0.1'), true))
  return {
    port: front.address().port,
    /** The listener sees another source port from now on. */
    rebind() {
      for (const back of backs.values()) back.close()
      backs = new Map()
    },
    close() {
      closed = true
      front.close()
      for (const back of backs.values()) back.close()
    },
  }
}
