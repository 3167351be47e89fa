import { describe, expect, test } from '@jest/globals'
import { identityFromSeed, nodeCrypto, signPeerRecord } from '@aiv/security'
import type { NodeId, PeerRecord } from '@aiv/transport-api'
import { PeerBook } from '../src/peer-book.js'

const id = (n: number): NodeId => n.toString(16).padStart(32, '0') as NodeId

function record(n: number, addresses: string[], at: number): { id: NodeId; record: PeerRecord } {
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(n))
  const fields = {
    deviceType: 'server' as const,
    addresses,
    relays: [],
    mailboxRelays: [],
    signedPrekey: undefined,
    onionKey: undefined,
    capabilities: new Uint8Array(0),
    nextKeyHash: undefined,
  }
  return { id: identity.nodeId, record: signPeerRecord(identity, fields, { now: at }) }
}

describe('peer book', () => {
  test('pins the first key that is seen under an id', () => {
    const book = new PeerBook(() => false)
    const key = new Uint8Array(32).fill(1)
    expect(book.pin(0, { nodeId: id(1), publicKey: key })).toBe(true)
    expect(book.pin(1, { nodeId: id(1), publicKey: key.slice() })).toBe(true)
    expect(book.pin(2, { nodeId: id(1), publicKey: new Uint8Array(32).fill(2) })).toBe(false)
  })

  test('forgets the peer that was not used for longest, but never one in use', () => {
    const book = new PeerBook((peer) => peer === id(1), { maxPeers: 2 })
    book.addAddress(0, id(1), 'mem://a')
    book.addAddress(1, id(2), 'mem://b')
    book.addAddress(2, id(3), 'mem://c')
    expect([...book].map(({ nodeId }) => nodeId)).toEqual([id(1), id(3)])
  })

  test('keeps a bounded number of addresses, those that were given by hand the longest', () => {
    const peer = record(7, ['htx://192.0.2.1:1', 'htx://192.0.2.2:1'], 1_000)
    const book = new PeerBook(() => false, { maxAddressesPerPeer: 2 })
    book.addAddress(0, peer.id, `htx://${peer.id}@198.51.100.1:1`)
    book.addRecord(0, peer.id, peer.record, false)
    expect([...(book.get(peer.id)?.addresses.keys() ?? [])]).toEqual([
      `htx://${peer.id}@198.51.100.1:1`,
      `htx://${peer.id}@192.0.2.2:1`,
    ])
  })

  test('takes only newer records, and replaces what the older one said', () => {
    const newer = record(7, ['htx://192.0.2.2:1'], 2_000)
    const older = record(7, ['htx://192.0.2.1:1'], 1_000)
    const book = new PeerBook(() => false)
    book.addRecord(0, newer.id, newer.record, false)
    book.addRecord(0, newer.id, older.record, false)
    expect([...(book.get(newer.id)?.addresses.keys() ?? [])]).toEqual([`htx://${newer.id}@192.0.2.2:1`])
  })

  test('takes loopback addresses only from a peer that is on this machine', () => {
    const peer = record(7, ['htx://127.0.0.1:1', 'htx://192.0.2.1:1', 'unheard+of://x'], 1_000)
    const far = new PeerBook(() => false)
    far.addRecord(0, peer.id, peer.record, false)
    expect([...(far.get(peer.id)?.addresses.keys() ?? [])]).not.toContain(`htx://${peer.id}@127.0.0.1:1`)
    const near = new PeerBook(() => false)
    near.addRecord(0, peer.id, peer.record, true)
    expect([...(near.get(peer.id)?.addresses.keys() ?? [])]).toContain(`htx://${peer.id}@127.0.0.1:1`)
  })
})
