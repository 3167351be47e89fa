// The yardstick: node:tls as an application would use it for messages. TLS 1.3, AES-256-GCM, X25519, Ed25519
// certificates on both sides, no resumption; each message is one write behind a 4-byte length.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, createSecureContext, createServer } from 'node:tls'

const common = { minVersion: 'TLSv1.3', ciphers: 'TLS_AES_256_GCM_SHA384', ecdhCurve: 'X25519' }

function credentials({ certDir }, own, other) {
  const read = (name) => readFileSync(join(certDir, name))
  return { key: read(`${own}.key`), cert: read(`${own}.crt`), ca: read(`${other}.crt`), ...common }
}

export async function server(onConnection, options) {
  const listener = createServer(
    { ...credentials(options, 'server', 'client'), requestCert: true, rejectUnauthorized: true, noDelay: true },
    (socket) => onConnection(messagesOver(socket)),
  )
  await new Promise((resolve) => listener.listen(0, '127.0.0.1', resolve))
  return { addr: listener.address().port, close: () => new Promise((resolve) => listener.close(resolve)) }
}

export async function client(port, options) {
  const secureContext = createSecureContext(credentials(options, 'client', 'server'))
  return {
    connect: () =>
      new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, secureContext }, () => resolve(messagesOver(socket)))
        socket.setNoDelay(true)
        socket.once('error', reject)
      }),
  }
}

function messagesOver(socket) {
  socket.on('error', () => {}) // a reset at the end of a test; before it, the missing answer tells
  return {
    send(message) {
      const head = Buffer.allocUnsafe(4)
      head.writeUInt32BE(message.length)
      let more
      if (message.length < 4096) {
        more = socket.write(Buffer.concat([head, message])) // copying is cheaper than a second TLS record
      } else {
        socket.cork()
        socket.write(head)
        more = socket.write(message)
        socket.uncork()
      }
      return more ? undefined : new Promise((resolve) => socket.once('drain', resolve))
    },
    onMessage(callback) {
      socket.on('data', splitter(callback))
    },
    close() {
      const closed = new Promise((resolve) => socket.once('close', resolve))
      socket.end()
      return closed
    },
  }
}

/** A stream back into messages; those that lie whole in one piece are not copied. */
function splitter(callback) {
  let held = []
  let heldBytes = 0
  let wanted = 4 // bytes of the length, or of the length and its message
  return (piece) => {
    held.push(piece)
    heldBytes += piece.length
    if (heldBytes < wanted) return
    const all = held.length === 1 ? piece : Buffer.concat(held, heldBytes)
    let at = 0
    wanted = 4
    while (all.length - at >= 4) {
      const length = all.readUInt32BE(at)
      if (all.length - at < 4 + length) {
        wanted = 4 + length
        break
      }
      callback(all.subarray(at + 4, at + 4 + length))
      at += 4 + length
    }
    held = at === all.length ? [] : [all.subarray(at)]
    heldBytes = all.length - at
  }
}
