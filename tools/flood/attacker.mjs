// Keeps as many connections as it can in the middle of a handshake: `attacker.mjs port opens-per-second sources`, the
// latter as JSON. Every slot says one byte a second of a HANDSHAKE frame, and is opened again from the same address, in
// its turn, when it was closed. Started with an IPC channel; tells when every slot has been opened once, then its figures
// whenever it is asked.
import { connect } from 'node:net'
import { FrameType, encodeFrame } from '@aiv/htx-codec'

const [port, opensPerSecond, json] = process.argv.slice(2)
const sources = JSON.parse(json)
const frame = encodeFrame({
  flags: 0,
  type: FrameType.Handshake,
  sequence: 0,
  timestamp: 0,
  payload: new Uint8Array(2_000),
})
/** Slots are served in turns, so that the bytes of a second do not come all at once. */
const TURNS = 20

const counts = { opened: 0, bytes: 0 }
const slots = sources.map((localAddress) => ({ localAddress, socket: undefined, at: 0, fresh: true }))
/** Slots to be opened, in their turn. */
const closed = slots.slice()
let told = false

function open(slot) {
  const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: slot.localAddress })
  slot.socket = socket
  slot.at = 0
  slot.fresh = false
  socket.on('connect', () => {
    counts.opened++
    drip(slot)
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    slot.socket = undefined
    closed.push(slot)
  })
  socket.resume()
}

function drip(slot) {
  if (slot.socket?.writable !== true || slot.socket.connecting) return
  slot.socket.write(frame.subarray(slot.at, slot.at + 1))
  slot.at = (slot.at + 1) % frame.length
  counts.bytes++
}

let turn = 0
setInterval(() => {
  for (let i = turn % TURNS; i < slots.length; i += TURNS) drip(slots[i])
  turn++
  for (const slot of closed.splice(0, Math.ceil(Number(opensPerSecond) / TURNS))) open(slot)
  if (told || slots.some(({ fresh }) => fresh)) return
  told = true
  process.send({ begun: true })
}, 1_000 / TURNS)

process.on('message', () => process.send(counts))
