import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { formatAddress, MAX_ADDRESS_LENGTH, nodeIdFromBytes, parseAddress, type Address } from '../src/index.js'

const id = '21fe31dfa154a261626bf854046fd227'
const none = { nodeId: undefined, port: undefined, path: '' }

describe('address', () => {
  test.each<[string, Address]>([
    [`htx://${id}@192.0.2.7:8888`, { ...none, scheme: 'htx', nodeId: id, host: '192.0.2.7', port: 8888 } as Address],
    ['htx://192.0.2.7:8888', { ...none, scheme: 'htx', host: '192.0.2.7', port: 8888 }],
    ['ws://example.org/p2p?x=1', { ...none, scheme: 'ws', host: 'example.org', path: '/p2p?x=1' }],
    [`htx://${id}@[2001:db8::1]:1`, { ...none, scheme: 'htx', nodeId: id, host: '2001:db8::1', port: 1 } as Address],
    ['htx://[fe80::1%eth0]:65535', { ...none, scheme: 'htx', host: 'fe80::1%eth0', port: 65_535 }],
    [`mem://${id}`, { ...none, scheme: 'mem', nodeId: id, host: '' } as Address],
    [`ble://${id}`, { ...none, scheme: 'ble', nodeId: id, host: '' } as Address],
    [`ws://${id}:80`, { ...none, scheme: 'ws', host: id, port: 80 }],
  ])('%s is read and written again', (text, address) => {
    expect(parseAddress(text)).toEqual(address)
    expect(formatAddress(address)).toBe(text)
  })

  test.each([
    '',
    'htx',
    'htx:',
    'htx://',
    'htx://:80',
    'htx://@host',
    `htx://${id}@`,
    `htx://${id}@:80`,
    'htx://somebody@host:80',
    `htx://${id}:secret@host:80`,
    `htx://${id.toUpperCase()}@host:80`,
    'htx://host:0',
    'htx://host:65536',
    'htx://host:123456',
    'htx://host:x',
    'htx://host:80#fragment',
    'htx://host name:80',
    'htx://host\n:80',
    'htx://host:80/a b',
    `htx://[${id}]`,
    'htx://[::1',
    'htx://::1:80',
    'HTX://host:80',
    '1htx://host',
    `htx://${'h'.repeat(MAX_ADDRESS_LENGTH)}`,
  ])('%j is none', (text) => {
    expect(() => parseAddress(text)).toThrow(expect.objectContaining({ code: 'ARGUMENT_INVALID' }))
  })

  test('what was written is read again', () => {
    const scheme = fc.stringMatching(/^[a-z][a-z0-9+.-]{0,8}$/)
    const nodeId = fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }).map(nodeIdFromBytes), { nil: undefined })
    const host = fc.oneof(
      fc.domain(),
      fc.ipV4(),
      fc.ipV6().filter((text) => text.includes(':')),
    )
    const port = fc.option(fc.integer({ min: 1, max: 65_535 }), { nil: undefined })
    const path = fc.stringMatching(/^(\/[a-z0-9?=&]{0,20})?$/)
    fc.assert(
      fc.property(fc.record({ scheme, nodeId, host, port, path }), (address) => {
        const text = formatAddress(address)
        fc.pre(text.length <= MAX_ADDRESS_LENGTH)
        expect(parseAddress(text)).toEqual(address)
      }),
    )
  })

  test('any text is an address that is written as it is meant, or refused with a code', () => {
    const text = fc.oneof(
      fc.string(),
      fc.webUrl(),
      fc.string().map((rest) => `htx://${rest}`),
    )
    fc.assert(
      fc.property(text, (input) => {
        let address: Address
        try {
          address = parseAddress(input)
        } catch (error) {
          expect(error).toHaveProperty('code', 'ARGUMENT_INVALID')
          return
        }
        expect(parseAddress(formatAddress(address))).toEqual(address)
      }),
      { numRuns: 2000 },
    )
  })
})
