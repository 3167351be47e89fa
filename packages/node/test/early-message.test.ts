import { afterEach, describe, expect, test } from '@jest/globals'
import { betanet } from '@aiv/betanet'
import { createNode } from '@aiv/core'
import { createIdentity } from '@aiv/security'
import { webSocket } from '@aiv/websocket'
import { inPath } from './in-path.js'

const transports = {
  TCP: betanet({ listen: { host: '127.0.0.1', port: 0 } }),
  WebSocket: webSocket({ listen: { host: '127.0.0.1', port: 0 } }),
}

const open: { close(): Promise<void> }[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()))
})

describe.each(Object.entries(transports))('a node that dials one it knows, over %s', (_, transport) => {
  test('says what it has to say before anything has come back', async () => {
    const [a, b] = await Promise.all(
      [await createIdentity(), await createIdentity()].map((identity) =>
        createNode({ identity, transports: [transport] }),
      ),
    )
    if (a === undefined || b === undefined) throw new Error('two nodes')
    open.push(a, b)
    const path = await inPath(b.addresses[0] as string)
    open.push(path)
    let heard: (text: string) => void = () => undefined
    const next = () => new Promise<string>((resolve) => (heard = resolve))
    b.handle('chat/1', (message) => heard(message.text()))
    const first = next()
    await a.send(path.address, 'we meet', { protocol: 'chat/1' })
    expect(await first).toBe('we meet')

    const gone = new Promise((resolve) => a.addEventListener('peer-disconnected', resolve, { once: true }))
    path.cut('reset')
    await gone
    // nothing that the listener says gets through
    path.tamper = ({ direction, bytes }) => (direction === 'up' ? [bytes] : [])
    const again = next()
    const receipt = a.send(b.id, 'again', { protocol: 'chat/1' })
    expect(await again).toBe('again')
    path.tamper = ({ bytes }) => [bytes]
    path.cut('reset')
    // and it counts once, though it has to be sent again to be acknowledged
    await (
      await receipt
    ).delivered
  })
})
