import { describe, expect, jest, test } from '@jest/globals'
import {
  type Connection,
  type ConnectionHandler,
  type DialOptions,
  DialError,
  type Transport,
  type TransportHost,
} from '@aiv/transport-api'
import { World, memoryNetwork, transportCompliance } from '../src/index.js'
import { components } from './identities.js'
import { failuresOf } from './collecting-runner.js'

/** What is spoilt about a transport that is otherwise good. */
interface Faults {
  readonly connection?: (good: Connection, options: DialOptions | undefined) => Partial<Connection>
  readonly handler?: (good: ConnectionHandler, connection: Connection) => Partial<ConnectionHandler>
  readonly transport?: (good: Transport) => Partial<Transport>
}

/** An object that has `spoilt`'s members and otherwise `good`'s. */
function over<T extends object>(good: T, spoilt: Partial<T>): T {
  return new Proxy(good, {
    get(target, key) {
      const value: unknown = Reflect.get(key in spoilt ? spoilt : target, key)
      return typeof value === 'function' ? (value.bind(key in spoilt ? spoilt : target) as unknown) : value
    },
  })
}

function spoil(good: Transport, faults: Faults): Transport {
  const wrap = (connection: Connection, options?: DialOptions): Connection =>
    over(connection, {
      attach: (handler) => connection.attach(over(handler, faults.handler?.(handler, connection) ?? {})),
      ...faults.connection?.(connection, options),
    })
  return over(good, {
    start: (host: TransportHost, options) =>
      good.start(over(host, { onConnection: (connection) => host.onConnection(wrap(connection)) }), options),
    dial: async (address, options) => wrap(await good.dial(address, options), options),
    ...faults.transport?.(good),
  })
}

/** The tests that fail for a memory transport with these faults. */
async function find(faults: Faults): Promise<string[]> {
  const failures = await failuresOf((runner) =>
    transportCompliance(runner, {
      patienceMs: 60_000,
      create() {
        const world = new World({ seed: 0 })
        const network = memoryNetwork(world, { impairment: { delayMs: 5 } })
        return {
          node(name, role) {
            const own = components(world, name)
            const good = network.memory({ listen: role === 'listener' })(own)
            return { transport: spoil(good, faults), nodeId: own.identity.nodeId }
          },
          clock: world.clock('suite'),
          deadAddress: 'mem://nobody',
          advance: (ms) => world.advance(ms),
          openHandles: () => network.openCount,
          cleanup: () => undefined,
        }
      },
    }),
  )
  return [...failures.keys()]
}

// each of these plays the whole suite
jest.setTimeout(120_000)

describe('the transport suite finds a transport that', () => {
  test('has no fault: none', async () => {
    expect(await find({})).toEqual([])
  })

  test('connects to whoever answers', async () => {
    const blind = {
      transport: (good: Transport): Partial<Transport> => ({
        dial: (address, options) => good.dial(address, { ...options, expected: undefined }),
      }),
    }
    expect(await find(blind)).toContain(
      'another node than the expected one is refused, and the listener never sees a connection',
    )
  })

  test('does not heed the signal of a dial', async () => {
    const deaf = {
      transport: (good: Transport): Partial<Transport> => ({
        dial: (address, { expected }) => good.dial(address, { expected }),
      }),
    }
    expect(await find(deaf)).toContain('a dial with a signal that was aborted before rejects with its reason')
  })

  test('rejects with an error of its own instead of the signal’s reason', async () => {
    const own = {
      transport: (good: Transport): Partial<Transport> => ({
        dial: (address, options) =>
          good.dial(address, options).catch((error: unknown) => {
            throw options.signal?.aborted === true ? new DialError('DIAL_ABORTED', 'aborted') : error
          }),
      }),
    }
    expect(await find(own)).toContain('a dial may be aborted at every stage, and leaves no connection')
  })

  test('stays open', async () => {
    const open = { transport: (): Partial<Transport> => ({ close: () => Promise.resolve() }) }
    expect(await find(open)).toContain('a transport that was closed does not listen any more')
  })

  test('loses a packet now and then', async () => {
    let count = 0
    const lossy = {
      connection: (good: Connection): Partial<Connection> => ({
        send: (packet, options) => (++count % 50 === 0 ? 'accepted' : good.send(packet, options)),
      }),
    }
    expect(await find(lossy)).toContain('both sides send at once, and each priority keeps its order')
  })

  test('cuts large packets off', async () => {
    const short = {
      handler: (good: ConnectionHandler): Partial<ConnectionHandler> => ({
        onPacket: (bytes, info) => good.onPacket(bytes.subarray(0, 65_535), info),
      }),
    }
    expect(await find(short)).toContain('packets of any size arrive whole and equal, in both directions')
  })

  test('knows no priorities', async () => {
    const flat = {
      connection: (good: Connection): Partial<Connection> => ({
        send: (packet, options) => good.send(packet, { ...options, priority: 2 }),
      }),
    }
    expect(await find(flat)).toContain('an emergency packet overtakes bulk that is queued')
  })

  test('does not pause', async () => {
    const restless = { connection: (): Partial<Connection> => ({ pause: () => undefined }) }
    expect(await find(restless)).toEqual(['pause reaches the sender as back-pressure, and resume gives everything out'])
  })

  test('never drains', async () => {
    const silent = { handler: (): Partial<ConnectionHandler> => ({ onDrain: () => undefined }) }
    expect(await find(silent)).toContain('a sender that is too fast is told full, then drained, and nothing is lost')
  })

  test('sends what has expired', async () => {
    const late = {
      connection: (good: Connection): Partial<Connection> => ({
        send: (packet, { priority, delivery, tag }) =>
          good.send(packet, tag === undefined ? { priority, delivery } : { priority, delivery, tag }),
      }),
    }
    expect(await find(late)).toEqual(['a packet whose time is over is dropped, and said to be'])
  })

  test('says onClosed and goes on', async () => {
    const twice = {
      handler: (good: ConnectionHandler): Partial<ConnectionHandler> => ({
        onClosed(reason) {
          good.onClosed(reason)
          good.onClosed(reason)
        },
      }),
    }
    expect((await find(twice)).length).toBeGreaterThan(30)
  })

  test('drops what was accepted when it closes', async () => {
    const hasty = {
      connection: (good: Connection): Partial<Connection> => ({
        close() {
          good.abort(new Error('closed'))
          return Promise.resolve()
        },
      }),
    }
    expect(await find(hasty)).toContain('close flushes what was accepted, then both sides hear of it once')
  })

  test('may be attached to again and again', async () => {
    const loose = {
      connection: (good: Connection): Partial<Connection> => {
        let isAttached = false
        return {
          attach(handler) {
            if (!isAttached) good.attach(handler)
            isAttached = true
          },
        }
      },
    }
    expect(await find(loose)).toEqual(['attach is called once'])
  })

  test('does not answer probes', async () => {
    const mute = { connection: (): Partial<Connection> => ({ probe: () => undefined }) }
    expect(await find(mute)).toEqual(['a probe is answered while the other side is there'])
  })
})
