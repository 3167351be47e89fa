import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { secureChannels, type Identity } from '@aiv/security'
import { Keeper, TestHost } from '@aiv/testkit'
import { type DialOptions, parseAddress, Priority, type Transport } from '@aiv/transport-api'
import { betanet } from '../src/index.js'
import { testNode, type TestNode } from './bench.js'

interface Running {
  readonly node: TestNode
  readonly transport: Transport
  readonly host: TestHost
}

async function up(node: TestNode, port: number | undefined): Promise<Running> {
  const listen = port === undefined ? false : { host: '127.0.0.1', port }
  const transport = betanet({ listen })(node.components)
  const host = new TestHost()
  await transport.start(host)
  return { node, transport, host }
}

const portOf = ({ host }: Running): number => parseAddress(host.addresses[0] ?? '').port as number

/** Two nodes that met: the second may be dialled early. */
async function acquainted(): Promise<{
  a: Running
  b: Running
  dial: (options?: Partial<DialOptions>) => Promise<Keeper>
}> {
  const [a, b] = [await up(await testNode(), undefined), await up(await testNode(), 0)]
  const port = portOf(b)
  const expected = b.node.components.identity.nodeId
  const dial = async (options: Partial<DialOptions> = {}): Promise<Keeper> =>
    new Keeper(await a.transport.dial(`htx://127.0.0.1:${port}`, { expected, ...options }))
  const accepted = b.host.next()
  const near = await dial()
  near.say('we meet')
  const far = await accepted
  await far.until(() => far.count === 1)
  await near.connection.close()
  return { a, b, dial }
}

async function down(...all: Running[]): Promise<void> {
  await Promise.all(all.map(({ transport }) => transport.close()))
}

describe('a dial that is early', () => {
  test('is handed out before anything came back, and what is said goes with the first message', async () => {
    const { a, b, dial } = await acquainted()
    const accepted = b.host.next()
    let wasEarly: boolean | undefined
    b.host.whenAccepted = (far) => {
      wasEarly = far.connection.early
      far.say('and good morning')
    }
    const near = await dial({ early: true })
    expect([near.connection.early, near.connection.remote.nodeId]).toEqual([true, b.node.components.identity.nodeId])
    expect(near.say('good morning')).toBe('accepted')
    const far = await accepted
    await Promise.all([far.until(() => far.count === 1), near.until(() => near.count === 1 && near.established)])
    expect([wasEarly, far.packets, far.early]).toEqual([true, ['good morning'], [false]])
    expect(near.connection.early).toBe(false)
    await far.until(() => far.established)
    expect(far.connection.early).toBe(false)
    near.say('how are you')
    await far.until(() => far.count === 2)
    await down(a, b)
    expect(near.closed).toMatchObject({ by: 'local' })
  })

  test('becomes a connection also when nobody has anything to say', async () => {
    const { a, b, dial } = await acquainted()
    const accepted = b.host.next()
    const near = await dial({ early: true })
    await near.until(() => near.established)
    const far = await accepted
    expect([far.connection.early, far.packets]).toEqual([false, []])
    await down(a, b)
  })

  test('of a node that is not known yet is an ordinary one', async () => {
    const [a, b] = [await up(await testNode(), undefined), await up(await testNode(), 0)]
    const connection = await a.transport.dial(`htx://127.0.0.1:${portOf(b)}`, {
      expected: b.node.components.identity.nodeId,
      early: true,
    })
    expect(connection.early).toBe(false)
    await down(a, b)
  })

  test('to a node that was started again shows certificates, and brings what was said once', async () => {
    const { a, b, dial } = await acquainted()
    const port = portOf(b)
    await b.transport.close()
    const identity = b.node.components.identity as Identity
    const secure = secureChannels({ identity, clock: b.node.clock })
    const again = await up({ ...b.node, components: { ...b.node.components, secure } }, port)
    const accepted = again.host.next()
    const near = await dial({ early: true })
    expect(near.connection.early).toBe(true)
    near.say('good morning')
    const far = await accepted
    await Promise.all([far.until(() => far.count === 1), near.until(() => near.established)])
    near.say('how are you')
    await far.until(() => far.count === 2)
    expect(far.packets).toEqual(['good morning', 'how are you'])
    await down(a, again)
  })

  test('to another node that answers there ends with that, and says nothing to it', async () => {
    const { a, b, dial } = await acquainted()
    const port = portOf(b)
    await b.transport.close()
    const other = await up(await testNode(), port)
    const near = await dial({ early: true })
    near.say('good morning')
    expect(await near.end()).toMatchObject({ by: 'protocol', code: 'IDENTITY_MISMATCH' })
    expect(near.established).toBe(false)
    expect(other.host.accepted).toEqual([])
    await down(a, other)
  })

  test('to something that takes connections and closes them is a connection that was lost', async () => {
    const { a, b, dial } = await acquainted()
    const port = portOf(b)
    await b.transport.close()
    const sockets: Socket[] = []
    const server = createServer((socket) => sockets.push(socket.on('error', () => undefined)))
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    const near = await dial({ early: true })
    near.say('good morning')
    for (const socket of sockets) socket.destroy()
    expect(await near.end()).toMatchObject({ by: 'lost', code: 'CONNECTION_LOST', retryable: true })
    server.close()
    await down(a)
  })

  test('and closed at once brings what was said', async () => {
    const { a, b, dial } = await acquainted()
    const accepted = b.host.next()
    const near = await dial({ early: true })
    near.say('good morning')
    await near.connection.close()
    const far = await accepted
    expect(await far.end()).toMatchObject({ by: 'remote', code: 'CLOSED' })
    expect(far.packets).toEqual(['good morning'])
    await down(a, b)
  })
})

describe('a first flight', () => {
  const firstFlight = [new TextEncoder().encode('anybody?')]

  test('goes with the first message; the listener may have spoken when the dial resolves', async () => {
    const { a, b, dial } = await acquainted()
    const accepted = b.host.next()
    b.host.whenAccepted = (far) => void far.say('before the handshake ends')
    const near = await dial({ firstFlight })
    expect(near.connection.early).toBe(false)
    const far = await accepted
    await Promise.all([far.until(() => far.established && far.count === 1), near.until(() => near.count === 1)])
    expect([far.packets, near.packets]).toEqual([['anybody?'], ['before the handshake ends']])
    await down(a, b)
  })

  test('is not sent where it cannot be early', async () => {
    const [a, b] = [await up(await testNode(), undefined), await up(await testNode(), 0)]
    const accepted = b.host.next()
    const expected = b.node.components.identity.nodeId
    const near = new Keeper(await a.transport.dial(`htx://127.0.0.1:${portOf(b)}`, { expected, firstFlight }))
    near.connection.send(new TextEncoder().encode('first'), { priority: Priority.Normal, delivery: 'reliable' })
    const far = await accepted
    await far.until(() => far.count === 1)
    expect(far.packets).toEqual(['first'])
    await down(a, b)
  })
})
