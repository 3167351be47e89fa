// js-libp2p over TCP, Noise and Yamux: one connection, with a stream for what is urgent beside the one for bulk. It is
// run from a copy in the folder of the other libraries, since it needs their dependencies.
//
// On a slow link its back-pressure let hundreds of MiB through at once, and an urgent message waited behind all of them.
// So that it is not measured at its worst, the bulk here has a window of 512 KiB, kept by the receiver's own answers.
import '../lib/polyfill.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { frame, framer } from '../lib/frame.mjs'

const URGENT = '/urgent/1'
const BULK = '/bulk/1'
const WINDOW_MESSAGES = 8
const make = (listen) =>
  createLibp2p({
    addresses: { listen },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  })

export async function server({ host }) {
  const node = await make([`/ip4/${host}/tcp/0`])
  await node.handle(BULK, (stream) => {
    const push = framer(() => stream.send(Uint8Array.of(1)))
    stream.addEventListener('message', ({ data }) => push(data.subarray()))
  })
  await node.handle(URGENT, (stream) => {
    const push = framer((message) => stream.send(frame(message)))
    stream.addEventListener('message', ({ data }) => push(data.subarray()))
  })
  return { addr: node.getMultiaddrs().map(String) }
}

export async function client({ address: addresses, host }) {
  const node = await make([])
  const connection = await node.dial(multiaddr(addresses.find((address) => address.includes(`/${host}/`))))
  const urgent = await connection.newStream(URGENT)
  const bulk = await connection.newStream(BULK)
  let underWay = 0
  let wake
  bulk.addEventListener('message', ({ data }) => {
    underWay -= data.byteLength
    wake?.()
  })
  return {
    urgent: (payload) => void urgent.send(frame(payload)),
    onAnswer: (listener) => {
      const push = framer(listener)
      urgent.addEventListener('message', ({ data }) => push(data.subarray()))
    },
    bulk: (payload) => {
      bulk.send(frame(payload))
      if (++underWay >= WINDOW_MESSAGES) return new Promise((resolve) => (wake = resolve))
    },
  }
}
