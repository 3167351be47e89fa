import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { type Clock, fromHex, toHex } from '@aiv/transport-api'
import { SocketController, VirtualAir, VirtualAirServer } from '../src/index.js'

const clock: Clock = {
  now: () => performance.now(),
  unixNow: () => 0,
  setTimeout: (run, ms) => {
    const timer = setTimeout(run, ms)
    return { clear: () => clearTimeout(timer) }
  },
}
const random = { bytes: (length: number) => new Uint8Array(length), uniform: () => 0 }

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aiv-air-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** The next packet from a controller. */
function next(controller: SocketController): Promise<string> {
  return new Promise((resolve) => {
    const stop = controller.listen((packet) => {
      stop()
      resolve(toHex(packet))
    })
  })
}

describe('controllers behind a unix socket', () => {
  test('each client has its own, and they hear each other', async () => {
    const air = new VirtualAir({ clock, random })
    await using server = await VirtualAirServer.listen(air, { path: join(folder, 'air') })
    const one = await SocketController.open(server.path)
    const two = await SocketController.open(server.path)
    const answer = next(one)
    one.handlePacket(fromHex('01091000'))
    expect(await answer).toBe('040e0a0109100001000' + '0eeffc0')
    const enabled = next(one)
    one.handlePacket(fromHex('010c20020100'))
    await enabled
    const report = next(one)
    two.handlePacket(fromHex('010a200101'))
    expect(await report).toBe('043e0c0201' + '0000' + '020000eeffc0' + '00' + 'ce')
    one.close()
    two.close()
  })

  test('a client that breaks the rules loses its controller, and nobody else does', async () => {
    const air = new VirtualAir({ clock, random })
    const faults: string[] = []
    await using server = await VirtualAirServer.listen(air, {
      path: join(folder, 'air'),
      onFault: ({ code }) => faults.push(code),
    })
    const good = await SocketController.open(server.path)
    for (const bytes of ['01412000', '00000000']) {
      const bad = connect(server.path)
      bad.write(fromHex(bytes))
      bad.resume()
      await new Promise((resolve) => bad.once('close', resolve))
    }
    expect(faults).toEqual(['HCI_UNKNOWN_OPCODE', 'HCI_PACKET'])
    const answer = next(good)
    good.handlePacket(fromHex('01030c00'))
    expect(await answer).toBe('040e0401030c00')
    good.close()
  })

  test('a client over the limit is closed at once, and the end of the server is told to the others', async () => {
    const air = new VirtualAir({ clock, random })
    const server = await VirtualAirServer.listen(air, { path: join(folder, 'air'), maxClients: 1 })
    let closed: () => void = () => undefined
    const gone = new Promise<void>((resolve) => (closed = resolve))
    await SocketController.open(server.path, closed)
    const late = connect(server.path)
    await new Promise((resolve) => late.once('close', resolve))
    await server.close()
    await gone
    expect(air.controllers).toHaveLength(0)
    await expect(SocketController.open(server.path)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})
