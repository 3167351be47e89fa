// A radio in a process of its own: `node radio-process.mjs <socket> <byte to advertise>`. Sends back whatever arrives on a
// link that somebody opened to it, and forwards what the parent process sends to the device that advertises `dial`.
import { NobleBlenoRadio } from '@aiv/bitchat'
import { installVirtualDriver, SocketController, VIRTUAL_DRIVER } from '@aiv/ble-virtual'
import { silentLogger } from '@aiv/transport-api'

const [, , path, byte] = process.argv
const clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run, ms) => {
    const timer = setTimeout(run, ms)
    return { clear: () => clearTimeout(timer) }
  },
}
installVirtualDriver(import.meta.url)
const virtual = await SocketController.open(path)
const stack = { driver: VIRTUAL_DRIVER, driverParams: { virtual } }
const radio = new NobleBlenoRadio({ clock, log: silentLogger }, { central: stack, peripheral: stack })

const devices = new Map()
/** Writes in order, as the window allows. */
const writer = (link) => {
  const waiting = []
  const flush = () => {
    while (waiting.length > 0 && link.write(waiting[0])) waiting.shift()
  }
  return {
    flush,
    write: (bytes) => {
      waiting.push(bytes)
      if (waiting.length === 1) flush()
    },
  }
}

await radio.start({
  onSighting: ({ device, payload }) => devices.set(payload[0], device),
  onLink: (link) => {
    const { write, flush } = writer(link)
    link.attach({ onPacket: write, onWritable: flush, onClosed: (code) => process.send({ closed: code }) })
  },
  onDown: (error) => process.send({ down: error.message }),
})
radio.advertise({ payload: new Uint8Array(4).fill(Number(byte)), intervalMs: 20 })

process.on('message', async ({ dial, count, length }) => {
  if (dial === undefined) {
    await radio.close()
    virtual.close()
    // ends by itself: nothing may be left that keeps it
    process.disconnect()
    return
  }
  radio.scan({ windowMs: 1000, intervalMs: 1000 })
  while (!devices.has(dial)) await new Promise((resolve) => setTimeout(resolve, 5))
  const link = await radio.connect(devices.get(dial))
  const { write, flush } = writer(link)
  let echoed = 0
  link.attach({
    onPacket: (bytes) => {
      if (bytes.length === length && bytes.every((value) => value === echoed % 256)) echoed++
      if (echoed === count) process.send({ echoed, maxPacketBytes: link.maxPacketBytes })
    },
    onWritable: flush,
    onClosed: (code) => process.send({ closed: code }),
  })
  for (let i = 0; i < count; i++) write(new Uint8Array(length).fill(i % 256))
})
process.send({ ready: true })
