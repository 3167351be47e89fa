import { type Bytes, Priority, priorities } from '@aiv/transport-api'
import { check, equal, sameBytes, thrownCode } from './assert.js'
import { Recorder } from './recorder.js'
import type { SceneTest } from './transport.js'

const KIB = 1024
const MIB = 1024 * KIB
/** A sender that is never told `full` after so much has no bound. */
const MAX_UNBOUNDED_BYTES = 64 * MIB

/** Packets, order, priorities, back-pressure, tags, expiry, datagrams, liveness, statistics. */
export function dataTests(test: SceneTest): void {
  test('packets of any size arrive whole and equal, in both directions', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    for (const size of [0, 1, 1000, 64 * KIB, MIB]) {
      if (size > near.connection.path.maxPacketBytes || size > far.connection.path.maxPacketBytes) continue
      for (const [from, to] of [
        [near, far],
        [far, near],
      ] as const) {
        const before = to.packets.length
        equal(from.send(content(size)), 'accepted', `a packet of ${size} bytes`)
        await waiter.until(() => to.packets.length > before, `a packet of ${size} bytes to arrive`)
        equal(to.packets.length, before + 1, 'packets that came')
        sameBytes(to.packets[before]?.bytes, content(size), `a packet of ${size} bytes`)
        equal(to.packets[before]?.delivery, 'reliable', 'how it came')
        equal(to.packets[before]?.early, false, 'whether it came early')
      }
    }
  })

  test('a packet in pieces arrives as one', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    const whole = content(5000)
    const pieces = [whole.subarray(0, 3), new Uint8Array(0), whole.subarray(3, 4000), whole.subarray(4000)]
    equal(near.send(pieces), 'accepted', 'a packet in four pieces')
    equal(near.send([]), 'accepted', 'a packet of no pieces')
    await waiter.until(() => far.packets.length === 2, 'two packets')
    sameBytes(far.packets[0]?.bytes, whole, 'a packet in four pieces')
    equal(far.packets[1]?.bytes.length, 0, 'bytes of a packet of no pieces')
  })

  test('bytes that came are the receiver’s to keep and to change', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    for (let i = 0; i < 50; i++) near.send(content(300, i))
    await waiter.until(() => far.packets.length === 50, '50 packets')
    far.packets[0]?.bytes.fill(0xee)
    for (let i = 1; i < 50; i++) sameBytes(far.packets[i]?.bytes, content(300, i), `packet ${i}`)
  })

  test('a packet over path.maxPacketBytes is too large, and nothing of it is sent', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    const max = near.connection.path.maxPacketBytes
    equal(near.send(filler(max + 1)), 'too-large', `a packet of ${max} + 1 bytes`)
    equal(near.send(Uint8Array.of(7)), 'accepted', 'the packet after it')
    await waiter.until(() => far.packets.length > 0, 'the packet after it to arrive')
    sameBytes(far.packets[0]?.bytes, Uint8Array.of(7), 'the only packet')
  })

  test('both sides send at once, and each priority keeps its order', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    const total = 400
    for (const side of [near, far]) {
      let next = 0
      const push = (): void => {
        for (; next < total; next++) {
          const priority = priorities[next % 4] ?? Priority.Normal
          const result = side.send(numbered(next, 1 + ((next * 37) % 3000)), { priority })
          if (result === 'full') return
          equal(result, 'accepted', `packet ${next}`)
        }
      }
      side.whenDrained = push
      push()
    }
    await waiter.until(() => near.count >= total && far.count >= total, `${total} packets in each direction`)
    for (const side of [near, far]) {
      equal(side.count, total, 'packets that came')
      const numbers = side.packets.map(({ bytes }) => numberOf(bytes))
      for (const priority of priorities) {
        const own = numbers.filter((number) => number % 4 === priority)
        const inOrder = own.every((number, index) => number === index * 4 + priority)
        check(inOrder, `priority ${priority} came out of order, doubled or with gaps: ${own.join(' ').slice(0, 120)}`)
      }
      for (const { bytes } of side.packets) {
        const number = numberOf(bytes)
        sameBytes(bytes, numbered(number, 1 + ((number * 37) % 3000)), `packet ${number}`)
      }
    }
  })

  test('an emergency packet overtakes bulk that is queued', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    const bulk = numbered(1, 32 * KIB)
    let accepted = 0
    while (near.send(bulk, { priority: Priority.Low }) === 'accepted') {
      accepted++
      check(accepted * bulk.length < MAX_UNBOUNDED_BYTES, 'bulk was taken without end')
    }
    const queued = near.connection.stats().queuedBytes[Priority.Low]
    check(queued > 0, 'a connection that is full has nothing queued at that priority')
    equal(near.send(numbered(2, 100), { priority: Priority.Emergency }), 'accepted', 'an emergency beside full bulk')
    await waiter.until(() => far.count === accepted + 1, 'all of it')
    const place = far.packets.findIndex(({ bytes }) => numberOf(bytes) === 2)
    const overtaken = (accepted - place) * bulk.length
    check(overtaken >= queued / 2, `${queued} bytes were queued before it and it overtook ${overtaken} of them`)
  })

  test('a sender that is too fast is told full, then drained, and nothing is lost', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    far.keep = false
    const seen: number[] = []
    far.whenPacket = (bytes) => seen.push(numberOf(bytes))
    const size = 16 * KIB
    let next = 0
    let fulls = 0
    let target = Number.POSITIVE_INFINITY
    const push = (): void => {
      for (; next < target; next++) {
        const result = near.send(numbered(next, size))
        if (result === 'full') {
          fulls++
          // once more as much as fitted at first, so that it has to go on after a drain
          if (target === Number.POSITIVE_INFINITY) target = next * 2 + 8
          const { queuedBytes } = near.connection.stats()
          const queued = queuedBytes.reduce((sum, bytes) => sum + bytes, 0)
          check(queued > 0, 'full with nothing queued')
          check(queued <= (next + 1) * size, `${queued} bytes are queued, of ${next * size} that were sent`)
          return
        }
        equal(result, 'accepted', `packet ${next}`)
        check((next + 1) * size < MAX_UNBOUNDED_BYTES, `${next} packets were taken in one turn: the queue has no bound`)
      }
    }
    near.whenDrained = push
    push()
    check(fulls > 0, 'the sender was never told full')
    equal(near.drained.length, 0, 'onDrain calls in the turn that filled the queue')
    await waiter.until(() => far.count >= target, `all ${target} packets`)
    check(near.drained.length > 0, 'onDrain was never called after full')
    const inOrder = seen.length === target && seen.every((number, index) => number === index)
    check(inOrder, 'packets were lost, doubled or out of order under back-pressure')
    const left = (): number => near.connection.stats().queuedBytes.reduce((sum, bytes) => sum + bytes, 0)
    await waiter.until(() => left() === 0, 'queuedBytes to become 0')
  })

  test('onDrain comes only after full', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    for (let i = 0; i < 20; i++) equal(near.send(numbered(i, 10)), 'accepted', 'a small packet')
    await waiter.until(() => far.count === 20, '20 packets')
    equal(near.drained, [], 'onDrain calls on a connection that was never full')
  })

  test('pause reaches the sender as back-pressure, and resume gives everything out', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    far.keep = false
    const seen: number[] = []
    far.whenPacket = (bytes) => seen.push(numberOf(bytes))
    far.connection.pause()
    const size = 64 * KIB
    let next = 0
    let stuck = false
    const push = (): void => {
      while (!stuck && next * size < MAX_UNBOUNDED_BYTES) {
        if (near.send(numbered(next, size)) !== 'accepted') return
        next++
      }
    }
    near.whenDrained = push
    push()
    // until the sender has not moved for many turns: the kernel's buffers are full as well then
    for (let quiet = 0; quiet < 50 && next * size < MAX_UNBOUNDED_BYTES; quiet++) {
      const before = next
      await waiter.turns(1)
      if (next !== before) quiet = 0
    }
    check(next * size < MAX_UNBOUNDED_BYTES, `a receiver that is paused was sent ${next * size} bytes`)
    stuck = true
    far.connection.resume()
    await waiter.until(() => far.count >= next, `all ${next} packets after resume()`)
    check(
      seen.every((number, index) => number === index),
      'packets were lost, doubled or out of order over a pause',
    )
    equal(near.send(Uint8Array.of(0, 0, 0, 1)), 'accepted', 'a send after the pause')
  })

  test('onSent names each tagged packet once', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    near.send(content(10), { tag: 11 })
    near.send(content(10))
    near.send(content(70_000), { tag: 12 })
    near.send(content(0), { tag: 13 })
    await waiter.until(() => near.sent.length >= 3 && far.count === 4, 'onSent of three tags, and four packets')
    equal([...near.sent].sort(), [11, 12, 13], 'the tags that onSent named')
    equal(near.dropped, [], 'the tags that onDropped named')
  })

  test('a packet whose time is over is dropped, and said to be', async ({ connect, waiter, bench }) => {
    const { near, far } = await connect()
    const past = bench.clock.now() - 1
    equal(near.send(numbered(1, 100), { expiresAt: past, tag: 5 }), 'accepted', 'a packet that is expired already')
    equal(
      near.send(numbered(2, 100), { expiresAt: past + 3_600_000, tag: 6 }),
      'accepted',
      'a packet with an hour left',
    )
    await waiter.until(() => near.dropped.length > 0 && far.count > 0, 'onDropped, and the other packet')
    equal(near.dropped, [{ tag: 5, code: 'EXPIRED' }], 'what onDropped named')
    equal(
      far.packets.map(({ bytes }) => numberOf(bytes)),
      [2],
      'the packets that came',
    )
    await waiter.until(() => near.sent.length > 0, 'onSent of the other packet')
    equal(near.sent, [6], 'what onSent named')
  })

  test('a datagram goes out, reliably where the path has none', async ({ connect, waiter }) => {
    const { near, far, dialler } = await connect()
    const { maxDatagramBytes } = near.connection.path
    check(dialler.transport.profile.datagrams || maxDatagramBytes === 0, 'a path has datagrams, its transport has none')
    const size = maxDatagramBytes === 0 ? 500 : Math.min(500, maxDatagramBytes)
    for (let number = 0; number < 10; number++) {
      equal(near.send(numbered(number, size), { delivery: 'datagram' }), 'accepted', 'a datagram')
    }
    const needed = maxDatagramBytes === 0 ? 10 : 1
    await waiter.until(() => far.count >= needed, `${needed} of 10 datagrams`)
    for (const { bytes } of far.packets) sameBytes(bytes, numbered(numberOf(bytes), size), 'a datagram')
    if (maxDatagramBytes > 0) {
      const large = filler(maxDatagramBytes + 1)
      equal(near.send(large, { delivery: 'datagram' }), 'too-large', 'a datagram over path.maxDatagramBytes')
    }
  })

  test('a handler may send from inside onPacket', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    far.whenPacket = (bytes) => {
      equal(far.send(bytes), 'accepted', 'an answer')
    }
    for (let i = 0; i < 100; i++) near.send(numbered(i, 50))
    await waiter.until(() => near.count === 100, '100 answers')
    const numbers = near.packets.map(({ bytes }) => numberOf(bytes))
    check(
      numbers.every((number, index) => number === index),
      'answers came out of order',
    )
  })

  test('nothing is read before attach, and nothing is lost by it', async ({ connect, waiter }) => {
    const ends = await connect()
    ends.listener.host.whenAccepted = (recorder) => {
      for (let i = 0; i < 5; i++) recorder.send(numbered(i, 20))
    }
    const [address = ''] = ends.listener.host.addresses
    const dialled = ends.dialler.transport.dial(address, { expected: ends.listener.nodeId })
    const connection = await waiter.settled(dialled, 'a dial')
    await waiter.turns(5)
    const late = new Recorder(connection, waiter)
    connection.attach(late)
    await waiter.until(() => late.count === 5, 'five packets that were sent before attach()')
    equal(
      late.packets.map(({ bytes }) => numberOf(bytes)),
      [0, 1, 2, 3, 4],
      'the packets',
    )
  })

  test('attach is called once', async ({ connect, waiter }) => {
    const { near } = await connect()
    const second = new Recorder(near.connection, waiter)
    equal(
      thrownCode(() => near.connection.attach(second), 'a second attach()'),
      'ARGUMENT_INVALID',
      'a second attach()',
    )
  })

  test('a probe is answered while the other side is there', async ({ connect, waiter }) => {
    const { near, far } = await connect()
    for (const side of [near, far]) {
      side.connection.probe()
      await waiter.until(() => side.liveness.includes('alive'), 'onLiveness after probe()')
    }
  })

  test('statistics are sane before, during and after traffic', async ({ connect, waiter, bench }) => {
    const { near, far } = await connect()
    near.send(content(10_000))
    far.send(content(100))
    await waiter.until(() => near.count === 1 && far.count === 1, 'a packet in each direction')
    for (const side of [near, far]) {
      const stats = side.connection.stats()
      check(stats.receivedBytes > 0 && stats.sentBytes > 0, 'receivedBytes and sentBytes count what went over')
      check(stats.onAirBytes >= stats.sentBytes, 'onAirBytes is below sentBytes')
      check(stats.unconfirmedBytes >= 0, 'unconfirmedBytes is negative')
      check(stats.lastHeardAt <= bench.clock.now(), 'lastHeardAt is in the future')
      equal(stats.queuedBytes, [0, 0, 0, 0], 'queuedBytes of an idle connection')
      const { rttMs, lossRatio, deliveryBytesPerSecond: rate } = stats
      check(rttMs === undefined || (rttMs >= 0 && Number.isFinite(rttMs)), `rttMs is ${rttMs}`)
      check(lossRatio === undefined || (lossRatio >= 0 && lossRatio <= 1), `lossRatio is ${lossRatio}`)
      check(rate === undefined || rate >= 0, `deliveryBytesPerSecond is ${rate}`)
    }
    check(near.connection.stats().sentBytes >= 10_000, 'sentBytes is below what was sent')
    check(far.connection.stats().receivedBytes >= 10_000, 'receivedBytes is below what came')
  })
}

const NUMBER_BYTES = 4

/** `size` bytes, at least four, that begin with `number` and differ from number to number. */
function numbered(number: number, size: number): Uint8Array {
  const bytes = content(Math.max(size, NUMBER_BYTES), number)
  new DataView(bytes.buffer).setUint32(0, number)
  return bytes
}

function numberOf(bytes: Uint8Array): number {
  if (bytes.length < NUMBER_BYTES) return -1
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0)
}

function content(size: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = (i * 31 + (i >>> 8) * 7 + seed * 13) & 0xff
  return bytes
}

/** As many bytes as asked for in pieces that share memory. */
function filler(size: number): Bytes {
  const piece = new Uint8Array(Math.min(size, MIB))
  const pieces = Array.from({ length: Math.floor(size / piece.length) }, () => piece)
  return [...pieces, piece.subarray(0, size % piece.length)]
}
