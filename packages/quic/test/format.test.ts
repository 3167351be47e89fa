import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'
import { AddressTokens } from '../src/address-token.node.js'
import { createCredentials, identifyPeer } from '../src/certificate.node.js'
import { certifiedKey } from '../src/certified-key.js'
import { EarlyRegister, encodeEarlyOpening } from '../src/early-data.js'
import { QuicError, quic } from '../src/index.js'
import { quicheEngine } from '../src/engine-quiche.node.js'
import { PacketHeader } from '../src/packet-header.js'
import { sourcePrefix } from '../src/source-prefix.js'
import { readHead, writeHead } from '../src/stream-format.js'
import { TicketStore } from '../src/ticket-store.js'
import { testNode } from './bench.js'

const document = readFileSync(new URL('../../../docs/wire/quic.md', import.meta.url), 'utf8')

function derOf(pem: Uint8Array): Uint8Array {
  return Buffer.from(
    Buffer.from(pem)
      .toString()
      .replace(/-----[^-]+-----/g, ''),
    'base64',
  )
}

describe('formats of docs/wire/quic.md', () => {
  test('a stream of two packets is the one in the document', () => {
    const bytes = new Uint8Array(32)
    let end = writeHead(bytes, 0, { priority: 2, order: 300 })
    for (const text of ['hi', 'you']) {
      bytes[end++] = text.length
      bytes.set(new TextEncoder().encode(text), end)
      end += text.length
    }
    expect(document).toContain(`\`${toHex(bytes.subarray(0, end))}\``)
  })

  test('an opening of early data is the one in the document', () => {
    const nonce = fromHex('000102030405060708090a0b0c0d0e0f')
    expect(document).toContain(`\`${toHex(encodeEarlyOpening(1_735_689_600_000, nonce))}\``)
  })

  test('a head comes back as it was written, and is waited for when it is cut anywhere', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 3 }), fc.nat(2 ** 31 - 1), (priority, order) => {
        const bytes = new Uint8Array(9)
        const end = writeHead(bytes, 0, { priority: priority as 0 | 1 | 2 | 3, order })
        expect(readHead(bytes.subarray(0, end), 0)).toEqual({ head: { priority, order }, end })
        for (let cut = 0; cut < end; cut++) expect(readHead(bytes.subarray(0, cut), 0)).toBeUndefined()
      }),
    )
    expect(readHead(Uint8Array.of(4, 0), 0)).toBe(false)
  })
})

describe('certificates', () => {
  test('our own one names us, and nothing else does', async () => {
    const { components } = await testNode()
    const der = derOf(createCredentials(components.identity).certificate)
    expect(identifyPeer([der])?.nodeId).toBe(components.identity.nodeId)
    expect(identifyPeer([der, der])).toBeUndefined()
    expect(identifyPeer([])).toBeUndefined()
  })

  test('any bytes are a certificate with a key, or none, and never an exception', async () => {
    const { components } = await testNode()
    const der = derOf(createCredentials(components.identity).certificate)
    for (let cut = 0; cut < der.length; cut++) certifiedKey(der.subarray(0, cut))
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => certifiedKey(bytes) === undefined))
  })

  test('a key under which anybody can sign is nobody', async () => {
    const { components } = await testNode()
    const der = Uint8Array.from(derOf(createCredentials(components.identity).certificate))
    const at = Buffer.from(der).indexOf(Buffer.from(components.identity.publicKey))
    for (const weak of ['01'.padEnd(64, '0'), 'ec'.padEnd(62, 'f') + '7f', 'ed'.padEnd(62, 'f') + '7f']) {
      der.set(fromHex(weak), at)
      expect(identifyPeer([der])).toBeUndefined()
    }
  })
})

describe('what guards 0-RTT', () => {
  const opening = (unixMs: number, number: number): Uint8Array =>
    encodeEarlyOpening(unixMs, new Uint8Array(16).fill(number))

  test('an opening counts once, within thirty seconds either way', () => {
    const register = new EarlyRegister()
    expect(register.accept(100_000, opening(100_000, 1))).toBe(true)
    expect(register.accept(100_000, opening(100_000, 1))).toBe(false)
    expect(register.accept(100_000, opening(69_999, 2))).toBe(false)
    expect(register.accept(100_000, opening(130_001, 3))).toBe(false)
    expect(register.accept(100_000, opening(130_000, 4))).toBe(true)
  })

  test('a full register refuses and forgets nothing before its time', () => {
    const register = new EarlyRegister(2)
    expect([1, 2, 3].map((n) => register.accept(0, opening(0, n)))).toEqual([true, true, false])
    expect(register.accept(30_000, opening(0, 1))).toBe(false)
    expect(register.accept(60_000, opening(60_000, 3))).toBe(true)
    expect(register.size).toBe(1)
  })

  test('tickets are given out once, for a day, wiped when dropped, and no more of them than allowed', async () => {
    const { nodeId } = (await testNode()).components.identity
    const store = new TicketStore(2)
    const tickets = [1, 2, 3, 4].map((n) => new Uint8Array(4).fill(n))
    for (const [i, ticket] of tickets.entries()) store.put(0, nodeId, `quic://192.0.2.${i}:1`, ticket)
    expect(store.size).toBe(2)
    expect([...(tickets[0] as Uint8Array)]).toEqual([0, 0, 0, 0])
    expect(store.take(0, nodeId, 'quic://192.0.2.3:1')).toBe(tickets[3])
    expect(store.take(0, nodeId, 'quic://192.0.2.3:1')).toBeUndefined()
    expect(store.take(86_400_000, nodeId, 'quic://192.0.2.2:1')).toBeUndefined()
    expect([...(tickets[2] as Uint8Array)]).toEqual([0, 0, 0, 0])
  })

  test('a token is good for its address, its id and ten seconds', () => {
    const tokens = new AddressTokens(new Uint8Array(32).fill(7))
    const from = { host: '192.0.2.1', port: 5 }
    const [original, fresh] = [new Uint8Array(8).fill(1), new Uint8Array(16).fill(2)]
    const token = tokens.issue(1000, from, original, fresh)
    expect(tokens.verify(11_000, from, token, fresh)).toEqual(original)
    expect(tokens.verify(12_000, from, token, fresh)).toBeUndefined()
    expect(tokens.verify(1000, { ...from, port: 6 }, token, fresh)).toBeUndefined()
    expect(tokens.verify(1000, from, token, original)).toBeUndefined()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => tokens.verify(1000, from, bytes, fresh) === undefined),
    )
  })
})

describe('the edges', () => {
  test('any bytes are a packet header or none, within their length', () => {
    const header = new PacketHeader()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        if (!header.read(bytes, 16)) return
        expect(header.destinationEnd).toBeLessThanOrEqual(bytes.length)
        if (header.type !== 'short') expect(header.tokenEnd).toBeLessThanOrEqual(bytes.length)
      }),
    )
  })

  test('sources are counted by IPv4 address and by IPv6 /64', () => {
    expect(sourcePrefix('192.0.2.7')).toBe('192.0.2.7')
    expect(sourcePrefix('::ffff:192.0.2.7')).toBe('192.0.2.7')
    expect(sourcePrefix('2001:db8::1')).toBe(sourcePrefix('2001:DB8::ffff:1%eth0'))
    expect(sourcePrefix('2001:db8:0:1::1')).not.toBe(sourcePrefix('2001:db8:0:2::1'))
  })

  test('where there is no binary, start says so with a code', async () => {
    const { components } = await testNode()
    const transport = quic({ listen: false, engine: quicheEngine('plan9-mips') })(components)
    const host = {
      admit: () => true,
      onConnection: () => undefined,
      onListening: () => undefined,
      onDown: () => undefined,
    }
    const error: unknown = await transport.start(host).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(QuicError)
    expect(error).toMatchObject({ code: 'QUIC_UNAVAILABLE' })
    await transport.close()
  })

  test.each([
    [{ listen: { port: 70_000 } }],
    [{ idleTimeoutMs: 1000, keepAliveMs: 2000 }],
    [{ maxUdpPayloadBytes: 1199 }],
    [{ advertise: ['htx://192.0.2.1:1'] }],
    [{ unvalidated: { perHost: 0 } }],
  ])('options that cannot be are refused at once: %j', (options) => {
    expect(() => quic(options)).toThrow(ArgumentError)
  })
})
