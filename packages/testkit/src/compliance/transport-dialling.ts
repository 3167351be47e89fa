import type { DialError, NodeId, TransportPolicy } from '@aiv/transport-api'
import { check, codeOf, equal } from './assert.js'
import { type Station, Recorder, addressOf } from './recorder.js'
import type { Scene, SceneTest } from './transport.js'

/** Stages at which a dial is aborted: so many turns after it began. */
const ABORT_STAGES = [0, 1, 2, 3, 5, 8]

const policy: TransportPolicy = {
  heartbeatIntervalMs: 15_000,
  maxConnections: 100,
  dutyCycle: 1,
  maxBytesPerSecond: 1_000_000_000,
  transmitPowerDbm: undefined,
}

/** Starting, dialling, accepting, identities, admission, abort. */
export function dialTests(test: SceneTest): void {
  test('a transport says what it is before it is started', async ({ station }) => {
    const { transport } = await station('a', 'dialler')
    check(transport.name.length > 0, 'transport.name is empty')
    check(transport.schemes.length > 0, 'transport.schemes is empty')
    for (const scheme of transport.schemes) check(/^[a-z][a-z0-9+.-]*$/.test(scheme), `"${scheme}" is no scheme`)
    check(transport.profile.largestPacketBytes > 0, 'profile.largestPacketBytes is not above 0')
  })

  test('a listener names its addresses, with a scheme of its own', async ({ station, start }) => {
    const listener = await start(await station('b', 'listener'))
    const scheme = addressOf(listener).split(':')[0] ?? ''
    check(listener.transport.schemes.includes(scheme), `it listens on ${scheme}: which is not among its schemes`)
  })

  test('a transport is started once', async ({ station, start, waiter }) => {
    const { transport, host } = await start(await station('a', 'dialler'))
    const error = await waiter.rejection(
      attempt(() => transport.start(host)),
      'a second start()',
    )
    codeOf(error, 'a second start()')
  })

  test('a start that was aborted before leaves nothing open', async ({ station, waiter }) => {
    const { transport, host } = await station('b', 'listener')
    const reason = new Error('changed my mind')
    const started = attempt(() => transport.start(host, { signal: AbortSignal.abort(reason) }))
    const error = await waiter.rejection(started, 'start() with an aborted signal')
    check(error === reason, `start() rejected with ${String(error)}, not with the signal's reason`)
  })

  test('both ends see who the other is', async ({ connect }) => {
    const { near, far, dialler, listener } = await connect()
    equal(near.connection.remote.nodeId, listener.nodeId, 'who the dialler sees')
    equal(far.connection.remote.nodeId, dialler.nodeId, 'who the listener sees')
    equal(near.connection.remote.publicKey.length, 32, 'bytes of the public key that the dialler sees')
    equal(far.connection.remote.publicKey.length, 32, 'bytes of the public key that the listener sees')
    equal([near.connection.direction, far.connection.direction], ['dialled', 'accepted'], 'directions')
    equal(near.connection.transport, dialler.transport.name, 'connection.transport of the dialler')
    equal(far.connection.transport, listener.transport.name, 'connection.transport of the listener')
  })

  test('a path is described from the first moment', async ({ connect }) => {
    const { near, far } = await connect()
    for (const { path } of [near.connection, far.connection]) {
      check(path.hops >= 1, 'path.hops is below 1')
      check(path.maxPacketBytes > 0, 'path.maxPacketBytes is not above 0')
      check(path.unsegmentedBytes > 0, 'path.unsegmentedBytes is not above 0')
      check(path.maxDatagramBytes >= 0, 'path.maxDatagramBytes is below 0')
      check(Object.isFrozen(path), 'path is not frozen')
    }
  })

  test('without an expected id whoever answers is taken', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    const address = addressOf(listener)
    const connection = await scene.waiter.settled(dialler.transport.dial(address, { expected: undefined }), 'a dial')
    connection.attach(new Recorder(connection, scene.waiter))
    equal(connection.remote.nodeId, listener.nodeId, 'who answered')
  })

  test('another node than the expected one is refused, and the listener never sees a connection', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    const expected = `${listener.nodeId.startsWith('0') ? '1' : '0'}${listener.nodeId.slice(1)}` as NodeId
    const dialled = dialler.transport.dial(addressOf(listener), { expected })
    const error = await scene.waiter.rejection(dialled, 'a dial that expects another node')
    equal(codeOf(error, 'a dial that expects another node'), 'IDENTITY_MISMATCH', 'its code')
    await scene.dial(dialler, listener)
    equal(listener.host.accepted.length, 1, 'connections that the listener saw')
  })

  test('an early dial to a node that was met gives a connection like any other, and says when it is confirmed', async (scene) => {
    const { waiter } = scene
    const { dialler, listener, near: first, far: firstFar } = await scene.connect()
    first.send(Uint8Array.of(1))
    await waiter.until(() => firstFar.packets.length === 1, 'a packet on the first connection')
    await waiter.settled(first.connection.close(), 'close() of the first connection')
    const options = { expected: listener.nodeId, early: true }
    const connection = await waiter.settled(dialler.transport.dial(addressOf(listener), options), 'an early dial')
    const near = new Recorder(connection, waiter)
    const wasEarly = connection.early === true
    check(
      !wasEarly || dialler.transport.profile.earlyDials !== undefined,
      'profile.earlyDials says that there are none',
    )
    connection.attach(near)
    equal(connection.remote.nodeId, listener.nodeId, 'who an early connection is to')
    equal(near.send(Uint8Array.of(2, 3)), 'accepted', 'a packet on an early connection')
    await waiter.until(() => (listener.host.accepted[1]?.packets.length ?? 0) > 0, 'the packet at the listener')
    const far = listener.host.accepted[1]
    check(far !== undefined, 'the listener lost its connection')
    equal(far.send(Uint8Array.of(4)), 'accepted', 'an answer to it')
    await waiter.until(() => near.packets.length === 1, 'the answer')
    const confirmed = (): boolean => connection.early !== true && far.connection.early !== true
    await waiter.until(() => confirmed() && near.established === Number(wasEarly), 'the handshake to be confirmed')
    equal(
      [far.packets.length, far.packets[0]?.early],
      [1, false],
      'packets at the listener, and whether they are replays',
    )
  })

  test('a node does not connect to itself', async ({ station, start, waiter }) => {
    const { transport, host } = await start(await station('b', 'listener'))
    const [address] = host.addresses
    check(address !== undefined, 'the listener named no address')
    const error = await waiter.rejection(transport.dial(address, { expected: undefined }), 'a dial to ourselves')
    equal(codeOf(error, 'a dial to ourselves'), 'IDENTITY_OWN', 'its code')
    equal(host.accepted.length, 0, 'connections that were accepted')
  })

  test('an address at which nobody listens is refused or times out', async ({ station, start, waiter, bench }) => {
    const { transport } = await start(await station('a', 'dialler'))
    const dialled = transport.dial(bench.deadAddress, { expected: undefined })
    const error = await waiter.rejection(dialled, 'a dial to nobody')
    const code = codeOf(error, 'a dial to nobody')
    check(code === 'DIAL_REFUSED' || code === 'DIAL_TIMEOUT', `a dial to nobody ended in ${code}`)
    check((error as DialError).retryable, `${code} is retryable: somebody may listen there later`)
  })

  test('addresses of other schemes and addresses that are none are refused', async ({ station, start, waiter }) => {
    const { transport } = await start(await station('a', 'dialler'))
    for (const address of ['nosuchscheme://192.0.2.1:1', 'no address at all', '']) {
      const error = await waiter.rejection(
        attempt(() => transport.dial(address, { expected: undefined })),
        `a dial to "${address}"`,
      )
      const code = codeOf(error, `a dial to "${address}"`)
      check(code === 'ADDRESS_UNSUPPORTED' || code === 'ADDRESS_INVALID', `a dial to "${address}" ended in ${code}`)
    }
  })

  test('a dial before the start says TRANSPORT_CLOSED', async ({ station, waiter, bench }) => {
    const { transport } = await station('a', 'dialler')
    const dialled = attempt(() => transport.dial(bench.deadAddress, { expected: undefined }))
    equal(codeOf(await waiter.rejection(dialled, 'a dial before start()'), 'it'), 'TRANSPORT_CLOSED', 'its code')
  })

  test('a dial with a signal that was aborted before rejects with its reason', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    const reason = new Error('changed my mind')
    const options = { expected: listener.nodeId, signal: AbortSignal.abort(reason) }
    const dialled = attempt(() => dialler.transport.dial(addressOf(listener), options))
    const error = await scene.waiter.rejection(dialled, 'a dial with an aborted signal')
    check(error === reason, `the dial rejected with ${String(error)}, not with the signal's reason`)
    await scene.dial(dialler, listener)
    equal(listener.host.accepted.length, 1, 'connections that the listener saw')
  })

  test('a dial may be aborted at every stage, and leaves no connection', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    for (const turns of ABORT_STAGES) {
      const controller = new AbortController()
      const reason = new Error(`aborted after ${turns} turns`)
      const options = { expected: listener.nodeId, signal: controller.signal }
      const dialled = dialler.transport.dial(addressOf(listener), options)
      const outcome = dialled.then(
        (connection) => ({ connection, error: undefined }),
        (error: unknown) => ({ connection: undefined, error }),
      )
      await scene.waiter.turns(turns)
      controller.abort(reason)
      const { connection, error } = await scene.waiter.settled(outcome, `a dial aborted after ${turns} turns`)
      if (connection === undefined) {
        check(error === reason, `a dial aborted after ${turns} turns rejected with ${String(error)}, not its reason`)
      } else {
        // it was faster; a signal that is aborted later means nothing any more
        const near = new Recorder(connection, scene.waiter)
        connection.attach(near)
        equal(near.send(Uint8Array.of(1)), 'accepted', 'a send after the signal of a finished dial was aborted')
        await scene.waiter.settled(connection.close(), 'connection.close()')
      }
    }
    await scene.waiter.until(
      () => listener.host.accepted.every((recorder) => recorder.isClosed()),
      'the listener to see the end of every aborted dial',
    )
    await scene.dial(dialler, listener)
  })

  test('a listener that admits nobody before the handshake gets no connection', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    listener.host.admits = () => false
    await expectNoConnection(scene, dialler, listener, 'a dial that is refused before the handshake')
    const [first] = listener.host.admissions
    check(first !== undefined && first.node === undefined, 'admit() was not asked before the handshake')
  })

  test('a listener that refuses a node after the handshake gets no connection', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    listener.host.admits = (node) => node === undefined
    await expectNoConnection(scene, dialler, listener, 'a dial that is refused after the handshake')
    const asked = listener.host.admissions.some(({ node }) => node === dialler.nodeId)
    check(asked, 'admit() was not asked for the node after the handshake')
    listener.host.admits = () => true
    await scene.dial(dialler, listener)
  })

  test('a connection that its host does not attach to is closed', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    listener.host.attaches = false
    const address = addressOf(listener)
    const options = { expected: listener.nodeId }
    const connection = await scene.waiter.settled(dialler.transport.dial(address, options), 'a dial')
    const near = new Recorder(connection, scene.waiter)
    connection.attach(near)
    await scene.waiter.until(() => near.isClosed(), 'the end of a connection that the other host left alone')
  })

  test('one dialler may have several connections, each on its own', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    const options = { expected: listener.nodeId }
    const dials = Array.from({ length: 8 }, () => dialler.transport.dial(addressOf(listener), options))
    const connections = await scene.waiter.settled(Promise.all(dials), '8 dials at once')
    for (const [index, connection] of connections.entries()) {
      const near = new Recorder(connection, scene.waiter)
      connection.attach(near)
      equal(near.send(Uint8Array.of(index)), 'accepted', 'a send')
    }
    const { accepted } = listener.host
    await scene.waiter.until(
      () => accepted.length === 8 && accepted.every(({ packets }) => packets.length === 1),
      'a packet on each of 8 connections',
    )
    const seen = accepted.map(({ packets }) => packets[0]?.bytes[0]).sort()
    equal(seen, [0, 1, 2, 3, 4, 5, 6, 7], 'the packets that came, one on each connection')
  })

  test('a cap on connections holds until one of them is closed', async (scene) => {
    const { dialler, listener } = await bothStarted(scene)
    listener.transport.apply({ ...policy, maxConnections: 1 })
    const { near, far } = await scene.dial(dialler, listener)
    await expectNoConnection(scene, dialler, listener, 'a dial over the cap')
    await scene.waiter.settled(near.connection.close(), 'connection.close()')
    await scene.waiter.until(() => far.isClosed(), 'onClosed at the listener')
    await scene.dial(dialler, listener)
  })

  test('a change of the network leaves connections that still work alone', async ({ connect, waiter }) => {
    const { near, far, dialler, listener } = await connect()
    dialler.transport.networkChanged()
    listener.transport.networkChanged()
    equal(near.send(Uint8Array.of(1)), 'accepted', 'a send')
    equal(far.send(Uint8Array.of(2)), 'accepted', 'a send')
    await waiter.until(() => near.packets.length + far.packets.length === 2, 'a packet in each direction')
  })
}

async function bothStarted(scene: Scene): Promise<{ dialler: Station; listener: Station }> {
  const dialler = await scene.start(await scene.station('dialler', 'dialler'))
  const listener = await scene.start(await scene.station('listener', 'listener'))
  return { dialler, listener }
}

/** A refused dial rejects, or, where the dialler ends its handshake first, gives a connection that is closed at once. */
async function expectNoConnection(scene: Scene, dialler: Station, listener: Station, what: string): Promise<void> {
  const before = listener.host.accepted.length
  const outcome = dialler.transport.dial(addressOf(listener), { expected: listener.nodeId }).then(
    (connection) => ({ connection, error: undefined }),
    (error: unknown) => ({ connection: undefined, error }),
  )
  const { connection, error } = await scene.waiter.settled(outcome, what)
  if (connection === undefined) {
    codeOf(error, what)
  } else {
    const near = new Recorder(connection, scene.waiter)
    connection.attach(near)
    await scene.waiter.until(() => near.isClosed(), `the end of ${what}`)
    check(near.closed?.by !== 'local', `${what}: onClosed says that we closed it`)
  }
  equal(listener.host.accepted.length, before, `connections that the listener saw after ${what}`)
}

/** Turns a synchronous throw, which is as good for a caller's mistake, into a rejection. */
async function attempt<T>(run: () => Promise<T>): Promise<T> {
  return await run()
}
