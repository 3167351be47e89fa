import { afterEach, describe, expect, test } from '@jest/globals'
import { type Keeper } from '@aiv/testkit'
import { Priority } from '@aiv/transport-api'
import { closeAll, closing, connect, dial, dialler, listener } from './bench.js'
import { UdpProxy } from './udp-proxy.js'

afterEach(closeAll)

/** A packet each way. */
async function exchange(near: Keeper, far: Keeper): Promise<void> {
  const [there, back] = [far.count + 1, near.count + 1]
  near.say(`to ${there}`)
  await far.until(() => far.count >= there)
  far.say(`fro ${back}`)
  await near.until(() => near.count >= back)
}

describe('a path that changes', () => {
  test('a NAT that gives another port goes unnoticed, but for the path that the listener sees', async () => {
    const b = await listener()
    const a = await dialler()
    const proxy = closing(await UdpProxy.start(b.port))
    const [near, far] = await connect(a, b, proxy.port)
    await exchange(near, far)
    const before = far.connection.path.remote
    proxy.rebind()
    await exchange(near, far)
    await far.until(() => far.paths.length > 0)
    expect(far.paths).toEqual(['rebound'])
    expect(far.connection.path.remote).not.toBe(before)
    expect(near.paths).toEqual([])
    expect([near.closed, far.closed]).toEqual([undefined, undefined])
  })

  test('thirty changes of the source port during a transfer leave the same bytes and one connection', async () => {
    const b = await listener()
    const a = await dialler()
    const proxy = closing(await UdpProxy.start(b.port))
    const [near, far] = await connect(a, b, proxy.port)
    far.keep = false
    let sum = 0
    far.onEach = (bytes) => {
      for (let i = 0; i < bytes.length; i += 997) sum = (sum * 31 + (bytes[i] as number)) >>> 0
    }
    const { bytes, expected } = await transfer(near, 3 * 1024 * 1024, (part) => {
      if (part * 30 > proxy.rebindings) proxy.rebind()
      return far.until(() => far.bytes >= part * 3 * 1024 * 1024 - 300_000)
    })
    await far.until(() => far.bytes === bytes)
    expect(proxy.rebindings).toBe(30)
    expect(sum).toBe(expected)
    expect(b.host.accepted.length).toBe(1)
  })

  test('a change of the network moves the connection to another port, thirty times', async () => {
    const b = await listener()
    const a = await dialler()
    const [near, far] = await connect(a, b)
    await exchange(near, far)
    const ports = new Set([near.connection.path.local])
    for (let i = 1; i <= 30; i++) {
      await near.connection.migrate?.()
      await near.until(() => near.paths.length === i)
      ports.add(near.connection.path.local)
      await exchange(near, far)
    }
    expect(near.paths).toEqual(Array(30).fill('migrated'))
    expect(ports.size).toBeGreaterThan(25)
    expect(b.host.accepted.length).toBe(1)
    expect(near.closed).toBeUndefined()
  })

  test('networkChanged moves what was dialled and leaves what was accepted', async () => {
    const b = await listener()
    const a = await dialler()
    const [near, far] = await connect(a, b)
    await exchange(near, far)
    b.transport.networkChanged()
    a.transport.networkChanged()
    await near.until(() => near.paths.length === 1)
    await exchange(near, far)
    expect(near.paths).toEqual(['migrated'])
  })

  test('without a spare connection id a connection stays where it is, and a 0-RTT dial takes its place', async () => {
    const b = await listener({ maxConnectionIds: 3 })
    const a = await dialler({ maxConnectionIds: 3 })
    const proxy = closing(await UdpProxy.start(b.port))
    const [near, far] = await connect(a, b, proxy.port)
    await exchange(near, far)
    for (let i = 0; i < 6; i++) {
      await near.connection.migrate?.()
      await exchange(near, far)
    }
    expect(near.paths.length).toBeGreaterThan(0)
    expect(near.paths.length).toBeLessThan(3)
    const ticketed = b.host.next()
    const again = await dial(a, b, proxy.port, true)
    again.say('query', { repeatable: true })
    const other = await ticketed
    await other.until(() => other.count === 1)
    expect(other.early).toEqual([true])
    await exchange(near, far)
  })

  test('a path that is dead is suspected, and alive again when it comes back', async () => {
    const b = await listener()
    const a = await dialler()
    const proxy = closing(await UdpProxy.start(b.port))
    const [near, far] = await connect(a, b, proxy.port)
    await exchange(near, far)
    proxy.cut = true
    near.say('lost at first')
    await near.until(() => near.liveness.length > 0)
    expect(near.liveness).toEqual(['suspect'])
    proxy.cut = false
    await far.until(() => far.packets.includes('lost at first'))
    await near.until(() => near.liveness.length > 1)
    expect(near.liveness).toEqual(['suspect', 'alive'])
  })
})

/** Sends `total` bytes, waiting for `pace` after each part of 1/64. */
async function transfer(near: Keeper, total: number, pace: (part: number) => Promise<void>) {
  const size = 16_384
  let expected = 0
  let bytes = 0
  const next = new Uint8Array(size)
  for (let sent = 0; sent < total; sent += size) {
    for (let i = 0; i < size; i++) next[i] = (i * 7 + sent / size) & 0xff
    const packet = next.slice()
    for (let i = 0; i < size; i += 997) expected = (expected * 31 + (packet[i] as number)) >>> 0
    while (near.connection.send(packet, { priority: Priority.Low, delivery: 'reliable' }) === 'full') {
      const { drains } = near
      await near.until(() => near.drains > drains)
    }
    bytes += size
    await pace(bytes / total)
  }
  return { bytes, expected }
}
