import { Socket } from 'node:dgram'
import { afterEach, expect, jest, test } from '@jest/globals'
import { SLOTS, SendSlots } from '../src/send-slots.js'
import { UdpSocket } from '../src/udp-socket.node.js'
import { closeAll, closing, dialler } from './bench.js'

afterEach(() => {
  jest.restoreAllMocks()
  return closeAll()
})

test('a socket whose kernel takes no more gives no slot, neither in a burst nor for the first datagram of the next', async () => {
  let waiting = 0
  jest.spyOn(Socket.prototype, 'getSendQueueCount').mockImplementation(() => waiting)
  const handler = { onDatagram: () => undefined, onError: () => undefined }
  const socket = closing(await UdpSocket.bind({ host: '127.0.0.1', port: 0 }, new SendSlots(1_200), handler))
  const to = { host: '127.0.0.1', port: socket.local.port }
  const burst = (): number => {
    let sent = 0
    while (sent < 2 * SLOTS && socket.slot() !== undefined) {
      socket.send(1, to)
      sent++
      waiting++
    }
    socket.rewind()
    return sent
  }
  expect(burst()).toBe(SLOTS)
  expect(burst()).toBe(0)
  waiting = SLOTS - 1
  expect(burst()).toBeGreaterThan(0)
  waiting = 0
  expect(burst()).toBeGreaterThan(0)
})

/** What the process holds once all that was closed is gone. */
async function openSockets(): Promise<number> {
  const count = (): number => process.getActiveResourcesInfo().filter((one) => one === 'UDPWrap').length
  for (let turn = 0; turn < 100 && count() > 0; turn++) await new Promise(setImmediate)
  return count()
}

test('a dial to an address that the engine refuses leaves no socket behind', async () => {
  const a = await dialler()
  expect(await openSockets()).toBe(0)
  // The system connects to it; the engine takes no address with a zone
  await expect(a.transport.dial('quic://[::1%1]:9', { expected: undefined })).rejects.toMatchObject({
    code: 'DIAL_REFUSED',
  })
  expect(await openSockets()).toBe(0)
})
