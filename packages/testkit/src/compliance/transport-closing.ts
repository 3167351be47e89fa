import { AivError, Priority, type Transport } from '@aiv/transport-api'
import { check, codeOf, equal } from './assert.js'
import { Recorder, addressOf } from './recorder.js'
import type { SceneTest } from './transport.js'

/** How connections and transports end: politely, impolitely, from inside, twice. */
export function closingTests(test: SceneTest): void {
  test('close flushes what was accepted, then both sides hear of it once', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    let accepted = 0
    while (accepted < 100 && near.send(new Uint8Array(2000).fill(accepted)) === 'accepted') accepted++
    await waiter.settled(near.connection.close(), 'connection.close()')
    await waiter.until(() => far.isClosed() && near.isClosed(), 'onClosed at both ends')
    equal(far.count, accepted, 'packets that came before the end')
    equal([near.closed?.by, near.closed?.code], ['local', 'CLOSED'], 'why it ended, at the side that closed')
    equal([far.closed?.by, far.closed?.code], ['remote', 'CLOSED'], 'why it ended, at the other side')
  })

  test('a connection is down when close() resolves', async ({ connect, waiter }) => {
    const { near } = await connect()
    await waiter.settled(near.connection.close(), 'connection.close()')
    check(near.isClosed(), 'onClosed had not been called when close() resolved')
  })

  test('close takes a code and a reason', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    await waiter.settled(far.connection.close({ code: 7, reason: 'going home' }), 'connection.close()')
    await waiter.until(() => near.isClosed(), 'onClosed at the other side')
    equal(near.closed?.by, 'remote', 'who closed it')
  })

  test('closing twice, and both sides at once, is one closing', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    const all = [near.connection.close(), near.connection.close(), far.connection.close()]
    await waiter.settled(Promise.all(all), 'three calls of close()')
    await waiter.settled(near.connection.close(), 'close() of a closed connection')
    await waiter.until(() => near.isClosed() && far.isClosed(), 'onClosed at both ends')
  })

  test('a connection may be closed from inside onPacket', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    let closing: Promise<void> | undefined
    far.whenPacket = () => {
      closing ??= far.connection.close()
    }
    near.send(Uint8Array.of(1))
    near.send(Uint8Array.of(2))
    await waiter.until(() => near.isClosed() && far.isClosed(), 'onClosed at both ends')
    check(closing !== undefined, 'onPacket was not called')
    await waiter.settled(closing, 'connection.close()')
  })

  test('a connection may be aborted from inside onPacket; onClosed follows and is the last call', async (scene) => {
    const { near, far } = await scene.connect()
    far.whenPacket = () => far.connection.abort(new AivError('TEST_ABORT', 'enough'))
    near.send(Uint8Array.of(1))
    near.send(Uint8Array.of(2))
    await scene.waiter.until(() => near.isClosed() && far.isClosed(), 'onClosed at both ends')
    equal(far.count, 1, 'packets given to a handler that aborted at the first')
  })

  test('abort ends it at once, and the other side hears of it', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    near.connection.abort(new Error('out of patience'))
    check(near.isClosed(), 'onClosed had not been called when abort() returned')
    equal(near.closed?.by, 'local', 'who closed it')
    await waiter.until(() => far.isClosed(), 'onClosed at the other side')
    check(far.closed?.by === 'lost' || far.closed?.by === 'remote', `the other side heard "${far.closed?.by}"`)
    near.connection.abort(new Error('again'))
    await waiter.settled(near.connection.close(), 'close() of an aborted connection')
  })

  test('abort does not wait for a full queue or a paused receiver', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    far.connection.pause()
    const bulk = new Uint8Array(65_536)
    for (let i = 0; i < 1000 && near.send(bulk, { priority: Priority.Low }) === 'accepted';) i++
    near.connection.abort(new Error('enough'))
    check(near.isClosed(), 'onClosed had not been called when abort() returned')
    far.connection.resume()
    await waiter.until(() => far.isClosed(), 'onClosed at the other side')
  })

  test('a closed connection takes nothing and throws nothing', async ({ connect, waiter }) => {
    const { near } = await connect()
    await waiter.settled(near.connection.close(), 'connection.close()')
    equal(near.send(Uint8Array.of(1)), 'closed', 'a send after close()')
    near.connection.pause()
    near.connection.resume()
    near.connection.probe()
    equal(near.connection.stats().queuedBytes, [0, 0, 0, 0], 'queuedBytes of a closed connection')
  })

  test('nothing is taken while a close is under way', async ({ connect }) => {
    const { near } = await connect()
    const closing = near.connection.close()
    equal(near.send(Uint8Array.of(1)), 'closed', 'a send after close() was called')
    closing.catch(() => undefined)
  })

  test('a connection that ended before attach says so after it', async ({ connect, waiter }) => {
    const { dialler, listener } = await connect()
    const options = { expected: listener.nodeId }
    const connection = await waiter.settled(dialler.transport.dial(addressOf(listener), options), 'a dial')
    connection.abort(new Error('not needed'))
    const late = new Recorder(connection, waiter)
    connection.attach(late)
    await waiter.until(() => late.isClosed(), 'onClosed after attach()')
  })

  test('a remote that vanishes is noticed by both ends', async ({ connect, waiter, bench }) => {
    const { near, far } = await connect()
    if (bench.sever === undefined) {
      far.connection.abort(new Error('vanished'))
    } else {
      bench.sever()
      await waiter.until(() => far.isClosed(), 'onClosed at the listener')
      equal(far.closed?.by, 'lost', 'why it ended, at the listener')
    }
    await waiter.until(() => near.isClosed(), 'onClosed at the dialler')
    check(near.closed?.by === 'lost' || near.closed?.by === 'remote', `the dialler heard "${near.closed?.by}"`)
  })

  test('a transport that closes takes its connections down, and the other sides hear of it', async (scene) => {
    const { near, far, dialler, listener } = await scene.connect()
    const second = await scene.dial(dialler, listener)
    await scene.waiter.settled(listener.transport.close(), 'transport.close()')
    check(far.isClosed() && second.far.isClosed(), 'a connection was still up when transport.close() resolved')
    await scene.waiter.until(() => near.isClosed() && second.near.isClosed(), 'onClosed at the other side')
    check(near.closed?.by === 'remote' || near.closed?.by === 'lost', `the other side heard "${near.closed?.by}"`)
  })

  test('a transport that was closed does not listen any more', async ({ connect, waiter }) => {
    const { dialler, listener } = await connect()
    const address = addressOf(listener)
    await waiter.settled(listener.transport.close(), 'transport.close()')
    const error = await waiter.rejection(dialler.transport.dial(address, { expected: listener.nodeId }), 'a dial to it')
    const code = codeOf(error, 'a dial to a closed transport')
    check(code === 'DIAL_REFUSED' || code === 'DIAL_TIMEOUT', `a dial to a closed transport ended in ${code}`)
  })

  test('a closed transport neither dials nor starts, and may be closed again', async ({ connect, waiter }) => {
    const { dialler, listener } = await connect()
    const { transport, host } = dialler
    await waiter.settled(transport.close(), 'transport.close()')
    await waiter.settled(transport.close(), 'a second transport.close()')
    const dialled = attempt(() => transport.dial(addressOf(listener), { expected: listener.nodeId }))
    equal(codeOf(await waiter.rejection(dialled, 'a dial'), 'a dial after close()'), 'TRANSPORT_CLOSED', 'its code')
    codeOf(
      await waiter.rejection(
        attempt(() => transport.start(host)),
        'a start() after close()',
      ),
      'its error',
    )
  })

  test('a transport that was never started closes', async ({ station, waiter }) => {
    const { transport } = await station('a', 'listener')
    await waiter.settled(transport.close(), 'transport.close()')
  })

  test('closing a transport ends its dials', async ({ connect, waiter }) => {
    const { dialler, listener } = await connect()
    const dialled = dialler.transport.dial(addressOf(listener), { expected: listener.nodeId })
    const outcome = dialled.then(
      (connection) => ({ connection, error: undefined }),
      (error: unknown) => ({ connection: undefined, error }),
    )
    await waiter.settled(dialler.transport.close(), 'transport.close()')
    const { connection, error } = await waiter.settled(outcome, 'a dial whose transport was closed')
    if (connection === undefined) {
      equal(codeOf(error, 'a dial whose transport was closed'), 'TRANSPORT_CLOSED', 'its code')
    } else {
      const near = new Recorder(connection, waiter)
      connection.attach(near)
      await waiter.until(() => near.isClosed(), 'the end of a connection that was dialled while its transport closed')
    }
    await waiter.until(
      () => listener.host.accepted.every((recorder) => recorder.isClosed()),
      'the listener to see the end of all of it',
    )
  })

  test('await using closes connections and transports', async ({ connect, waiter }) => {
    const { near, far, listener } = await connect()
    await waiter.settled(Promise.resolve(near.connection[Symbol.asyncDispose]()), 'connection[Symbol.asyncDispose]()')
    await waiter.until(() => near.isClosed() && far.isClosed(), 'onClosed at both ends')
    const { transport }: { transport: Transport } = listener
    await waiter.settled(Promise.resolve(transport[Symbol.asyncDispose]()), 'transport[Symbol.asyncDispose]()')
  })
}

/** Turns a synchronous throw, which is as good for a caller's mistake, into a rejection. */
async function attempt<T>(run: () => Promise<T>): Promise<T> {
  return await run()
}
