// A second opinion on our Bluetooth: BlueZ's own emulator of controllers, `btvirt` of Debian's bluez-test-tools. It has
// one link per pair of controllers and no more (5.66: further ones are announced with the wrong handle), so that is what is
// tested: what our controllers answer against what BlueZ's do, and the radio of `@aiv/bitchat` over theirs.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { NobleBlenoRadio } from '@aiv/bitchat'
import { installVirtualDriver, SocketController, VIRTUAL_DRIVER, VirtualAir } from '@aiv/ble-virtual'
import { systemClock as clock, systemRandom as random } from '@aiv/core'
import { silentLogger } from '@aiv/transport-api'
import { root, run, temporaryFolder } from './support.mjs'

/** Where btvirt listens for LE controllers; it cannot be told otherwise. */
const SOCKET = '/tmp/bt-server-le'
const PACKETS = 40
let emulator

before(async (context) => {
  const library = join(temporaryFolder({ after: (end) => after(end) }, 'btvirt'), 'af-alg-shim.so')
  const shim = join(root, 'tools/system/af-alg-shim.c')
  const { status, stderr } = await run('gcc', ['-shared', '-fPIC', '-O2', '-o', library, shim, '-ldl'])
  assert.equal(status, 0, stderr)
  for (const kind of ['le', 'bredr', 'bredrle', 'amp', 'mon']) rmSync(`/tmp/bt-server-${kind}`, { force: true })
  emulator = spawn('btvirt', ['-s'], { env: { ...process.env, LD_PRELOAD: library }, stdio: 'ignore' })
  const gone = new Promise((_, reject) => emulator.once('error', reject))
  while (!existsSync(SOCKET)) await Promise.race([sleep(20), gone])
})
after(async () => {
  if (emulator?.exitCode !== null) return
  const ended = new Promise((resolve) => emulator.once('exit', resolve))
  emulator.kill()
  await ended
})

/** Writes a command and gives the answer to it, in hexadecimal. */
async function answer(controller, command) {
  const opcode = command.slice(2, 6)
  const events = []
  const stop = controller.listen((packet) => events.push(Buffer.from(packet).toString('hex')))
  controller.handlePacket(Buffer.from(command, 'hex'))
  const isAnswer = (event) =>
    (event.startsWith('040e') && event.slice(8, 12) === opcode) ||
    (event.startsWith('040f') && event.slice(10, 14) === opcode)
  while (!events.some(isAnswer)) await sleep(1)
  stop()
  return events.find(isAnswer)
}

test('our controllers answer the commands of noble and bleno as those of BlueZ do', async () => {
  const theirs = await SocketController.open(SOCKET)
  const ours = new VirtualAir({ clock, random }).create()
  const commands = {
    // identical to the byte
    same: [
      '01030c00', // Reset
      '01010c08fffffbff07f8bf3d', // Set Event Mask
      '010120085f00000000000000', // LE Set Event Mask
      '016d0c020100', // Write LE Host Support
      '010b200701120012000000', // LE Set Scan Parameters
      '010c20020101', // LE Set Scan Enable: on
      '010c20020001', // and off; when it is off already BlueZ refuses, against section 7.8.11
      '0106200fa000a0000000000000000000000700', // LE Set Advertising Parameters
      '0108202003020106' + '00'.repeat(28), // LE Set Advertising Data
      '0109202004030861' + '00'.repeat(28), // LE Set Scan Response Data
      '010a200101', // LE Set Advertising Enable: on
      '010a200100', // and off
      '010d2019600030000000' + 'ffffffffffff' + '00' + '060012000000' + '2a00' + '04000600', // LE Create Connection
    ],
    // of the same length and status: what they say is each controller's own
    alike: [
      '01011000', // Read Local Version
      '01091000', // Read BD_ADDR
      '01032000', // LE Read Local Supported Features
      '01022000', // LE Read Buffer Size
      '016c0c00', // Read LE Host Support
    ],
  }
  for (const command of commands.same) assert.equal(await answer(ours, command), await answer(theirs, command), command)
  for (const command of commands.alike) {
    const [a, b] = [await answer(ours, command), await answer(theirs, command)]
    assert.equal(a.length, b.length, command)
    assert.equal(a.slice(0, 14), b.slice(0, 14), command)
  }
  theirs.close()
  ours.close()
})

test('two radios over the controllers of BlueZ see each other, exchange packets in order, and part', async () => {
  installVirtualDriver(import.meta.url)
  const station = async (byte) => {
    const virtual = await SocketController.open(SOCKET)
    const stack = { driver: VIRTUAL_DRIVER, driverParams: { virtual } }
    const radio = new NobleBlenoRadio(
      { clock, log: silentLogger },
      { central: stack, peripheral: stack, windowPackets: 2 },
    )
    const devices = new Map()
    let accepted
    const link = new Promise((resolve) => (accepted = resolve))
    await radio.start({
      onSighting: ({ device, payload }) => devices.set(payload[0], device),
      onLink: (opened) => accepted(line(opened)),
      onDown: assert.fail,
    })
    radio.advertise({ payload: new Uint8Array(4).fill(byte), intervalMs: 100 })
    return { virtual, radio, devices, link }
  }
  const line = (link) => {
    const packets = []
    let closed
    const end = new Promise((resolve) => (closed = resolve))
    link.attach({ onPacket: (bytes) => packets.push(bytes), onWritable: () => undefined, onClosed: closed })
    const write = async () => {
      for (let i = 0; i < PACKETS; i++) while (!link.write(new Uint8Array(244).fill(i))) await sleep(1)
    }
    return { link, packets, end, write }
  }
  const [a, b] = [await station(1), await station(2)]
  a.radio.scan({ windowMs: 100, intervalMs: 100 })
  while (!a.devices.has(2)) {
    await sleep(50)
    // btvirt reports an advertisement when it changes, and not again and again
    b.radio.advertise({ payload: new Uint8Array(4).fill(2), intervalMs: 100 })
  }
  const there = line(await a.radio.connect(a.devices.get(2)))
  const here = await b.link
  assert.equal(there.link.maxPacketBytes, 244)
  await Promise.all([there.write(), here.write()])
  while (there.packets.length < PACKETS || here.packets.length < PACKETS) await sleep(1)
  for (const { packets } of [there, here])
    packets.forEach((packet, i) => assert.deepEqual(packet, new Uint8Array(244).fill(i)))
  there.link.close()
  assert.equal(await there.end, 'CLOSED')
  assert.equal(await here.end, 'REMOTE_CLOSED')
  for (const { radio, virtual } of [a, b]) {
    await radio.close()
    virtual.close()
  }
})
