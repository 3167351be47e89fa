import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodeHello, encodeLinkAck, encodeLinkEnvelopeHeader, encodePing, MessageKind } from '@aiv/routing'
import { createIdentity, signPeerRecord } from '@aiv/security'
import { fromHex, joinBytes, Priority, toHex } from '@aiv/transport-api'
import { encodeOffer } from '../src/file/file-protocol.js'
import { inspectBytes, inspectText, type InspectOptions } from '../src/inspect/inspect.js'
import { inspectionError } from '../src/inspect/inspection.js'
import { runToEnd } from './fake-io.js'

const golden = '485811000000050000000001000001941f297c0068656c6c6f8ba357e9'
const ping = '48581100000000030000000000000000000000008c26a1b9'
const now: InspectOptions = { unixNow: 1_800_000_000_000 }

describe('aiv inspect', () => {
  test('names the fields of the published HTX frame', async () => {
    const { code, stdout, stderr } = await runToEnd(['inspect', golden])
    expect(code).toBe(0)
    expect(stderr).toBe('')
    expect(stdout).toMatch(/HTX 1\.1 frame, 29 bytes, valid/)
    expect(stdout).toMatch(/type +00 +DATA/)
    expect(stdout).toMatch(/sequence +1\n/)
    expect(stdout).toMatch(/payload +"hello"/)
  })

  test('reports the code of the failure when one byte is changed, whichever it is', async () => {
    const { code, stdout, stderr } = await runToEnd(['inspect', golden.replace('6f8ba3', '708ba3')])
    expect(code).toBe(1)
    expect(stdout).toMatch(/not valid: HTX_BAD_CRC/)
    expect(stderr).toMatch(/^error HTX_BAD_CRC: .*\n$/)
    const bytes = fromHex(golden)
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 0x80]) {
        const changed = bytes.slice()
        changed[at] = (changed[at] as number) ^ bit
        expect(inspectionError(inspectBytes(changed, now))?.code).toMatch(/^HTX_/)
      }
    }
  })

  test('takes several frames in a row, up to the first that is not valid', () => {
    const both = inspectText(golden + ping, now)
    expect(both.parts.map(({ offset, length, error }) => ({ offset, length, error }))).toEqual([
      { offset: 0, length: 29, error: undefined },
      { offset: 29, length: 24, error: undefined },
    ])
    const cut = inspectText(golden + ping.slice(0, 20), now)
    expect(inspectionError(cut)?.code).toBe('HTX_TRUNCATED')
    expect(cut.parts).toHaveLength(2)
  })

  test('reads hexadecimal from the standard input, and raw bytes', async () => {
    for (const stdin of [`${golden}\n`, fromHex(golden)]) {
      const { code, stdout } = await runToEnd(['inspect'], { stdin })
      expect(stdout).toMatch(/"hello"/)
      expect(code).toBe(0)
    }
  })

  test('gives machines an object', async () => {
    const { code, objects } = await runToEnd(['--json', 'inspect', golden.replace('6f8ba3', '708ba3')])
    expect(code).toBe(1)
    expect(objects()[0]).toMatchObject({ type: 'inspection', valid: false, code: 'HTX_BAD_CRC' })
    expect(objects()[1]).toMatchObject({ type: 'error', code: 'HTX_BAD_CRC' })
  })

  test('tells node ids, addresses and keys from one another', async () => {
    const id = '21fe31dfa154a261626bf854046fd227'
    expect(inspectText(id, now).parts[0]?.title).toBe('node id')
    const address = inspectText(`htx://${id}@[fd00::2]:8888`, now)
    expect(address.parts[0]?.fields.map(({ name, value }) => [name, value])).toEqual([
      ['scheme', 'htx'],
      ['node id', id],
      ['host', 'fd00::2'],
      ['port', '8888'],
    ])
    expect(inspectionError(inspectText('htx://nobody@host:1', now))?.code).toBe('ADDRESS_INVALID')
    const key = inspectText('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', now)
    expect(key.parts[0]?.fields[0]?.note).toBe(`node ${id}`)
    const weak = inspectText(`01${'00'.repeat(31)}`, { ...now, as: 'key' })
    expect(inspectionError(weak)?.code).toBe('KEY_INVALID')
    expect(await runToEnd(['inspect', 'what?'])).toMatchObject({ code: 1 })
  })

  test('checks the signature and the times of a peer record, alone and in a HELLO', async () => {
    const identity = await createIdentity()
    const fields = {
      deviceType: 'fog' as const,
      addresses: ['ws://192.0.2.7:8889'],
      relays: [],
      mailboxRelays: [],
      signedPrekey: undefined,
      onionKey: undefined,
      capabilities: new Uint8Array(0),
      nextKeyHash: undefined,
    }
    const { bytes } = signPeerRecord(identity, fields, { now: now.unixNow })
    const [part] = inspectBytes(bytes, now).parts
    expect(part?.title).toBe('peer record')
    expect(part?.error).toBeUndefined()
    const values = part?.fields.map(({ value }) => value)
    expect(values).toContain('"ws://192.0.2.7:8889"')
    expect(part?.fields.find(({ name }) => name === 'Ed25519 key')?.note).toBe(`node ${identity.nodeId}`)
    const late = { unixNow: now.unixNow + 8 * 86_400_000 }
    expect(inspectionError(inspectBytes(bytes, late))?.code).toBe('RECORD_EXPIRED')
    const forged = bytes.slice()
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
    expect(inspectionError(inspectBytes(forged, now))?.code).toBe('RECORD_SIGNATURE')
    const hello = encodeHello({
      version: 1,
      capabilities: 1,
      deviceType: 'fog',
      record: bytes,
      observedAddress: 'ws://198.51.100.3:40000',
      epoch: '0102030405060708',
      firstCounters: undefined,
      heard: false,
    })
    const parts = inspectBytes(hello, now).parts
    expect(parts.map(({ title, error }) => [title, error])).toEqual([
      ['packet: HELLO', undefined],
      ['peer record', undefined],
    ])
    const certificate = identity.certificate(now.unixNow)
    expect(inspectBytes(certificate, now).parts[0]?.title).toBe('static-key certificate')
    const noiseKey = identity.noiseStatic.publicKey
    expect(inspectionError(inspectBytes(certificate, { ...now, noiseKey }))).toBeUndefined()
    const other = { ...now, noiseKey: (await createIdentity()).noiseStatic.publicKey }
    expect(inspectionError(inspectBytes(certificate, other))?.code).toBe('CERTIFICATE_INVALID')
  })

  test('opens link envelopes, and the file protocol in them', () => {
    const offer = encodeOffer({
      transfer: new Uint8Array(8),
      id: new Uint8Array(16),
      size: 12,
      sha256: new Uint8Array(32),
      name: 'a.txt',
    })
    const header = encodeLinkEnvelopeHeader({
      priority: Priority.Low,
      compressed: false,
      ordered: true,
      acknowledge: true,
      kind: MessageKind.Request,
      counter: 7,
      lifetimeS: 30,
      protocol: 'aiv-file/1',
      requestId: 3,
    })
    const { parts } = inspectBytes(joinBytes([header, offer]), now)
    expect(parts.map(({ title }) => title)).toEqual(['packet: link envelope', 'aiv-file/1 message'])
    expect(parts[0]?.fields[1]?.note).toBe('priority low, request, ordered, acknowledgement wanted')
    expect(parts[1]?.fields.at(-1)?.value).toBe('"a.txt"')
    expect(parts[1]?.offset).toBe(header.length)
  })

  test('reads acknowledgements and pings', () => {
    const ack = encodeLinkAck({
      epoch: '0102030405060708',
      acknowledged: [[], [], [{ first: 3, last: 5 }], []],
      refused: [[], [], [], []],
    })
    const [part] = inspectBytes(ack, now).parts
    expect(part?.error).toBeUndefined()
    expect(part?.fields.slice(-2).map(({ note }) => note)).toEqual(['from counter 3', 'to counter 5'])
    const pong = encodePing({ type: 'pong', opaque: new Uint8Array(8) })
    expect(inspectBytes(pong, now).parts[0]?.fields[1]?.note).toBe('pong')
  })

  test('reads Betanet 1.2 frames', () => {
    const frame = '00001c' + '00' + '00000003' + '0000' + 'ab'.repeat(5) + 'cd'.repeat(16)
    const { parts } = inspectText(frame + frame, now)
    expect(parts.map(({ title, error }) => [title, error])).toEqual([
      ['Betanet 1.2 frame', undefined],
      ['Betanet 1.2 frame', undefined],
    ])
    expect(parts[0]?.fields.map(({ note }) => note)).toContain('STREAM')
    const cut = inspectText(frame.slice(0, 40), { ...now, as: 'betanet' })
    expect(inspectionError(cut)?.code).toBe('BETANET_MALFORMED_FRAME')
  })

  test('survives any bytes, taken as anything, and every field lies within them', () => {
    const kinds = fc.constantFrom('htx', 'betanet', 'packet', 'record', 'certificate', 'key', 'id', undefined)
    const start = fc.constantFrom('', '4858', '0120', '00', '01', '02', '03', '05', '08', '0201', '000017')
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), start, kinds, (tail, prefix, as) => {
        const bytes = joinBytes([fromHex(prefix), tail])
        const { parts } = inspectBytes(bytes, as === undefined ? now : { ...now, as })
        expect(parts.length).toBeGreaterThan(0)
        for (const { fields } of parts) {
          for (const { offset, length } of fields) expect(offset + length).toBeLessThanOrEqual(bytes.length)
        }
      }),
      { numRuns: 2000 },
    )
  })

  test('survives any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(inspectText(text, now).parts.length).toBeGreaterThan(0)
      }),
    )
  })

  test('shows fields in order and without gaps where the bytes are valid', () => {
    const [part] = inspectText(golden, now).parts
    let at = 0
    for (const { offset, length } of part?.fields ?? []) {
      expect(offset).toBe(at)
      at += length
    }
    expect(toHex(fromHex(golden)).length / 2).toBe(at)
  })
})
