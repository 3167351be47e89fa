import { describe, expect, test } from '@jest/globals'
import { ArgumentError, dialTarget, parseDialAddress, type NodeId } from '../src/index.js'

const own = '000102030405060708090a0b0c0d0e0f' as NodeId
const peer = '101112131415161718191a1b1c1d1e1f' as NodeId
const other = '202122232425262728292a2b2c2d2e2f' as NodeId
const transport = { name: 'test', schemes: ['one', 'two'] }

function codeOf(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return (error as { code: string }).code
  }
  return 'nothing thrown'
}

function target(text: string, expected?: NodeId) {
  return dialTarget(transport, text, { own, expected })
}

describe('the address of a dial', () => {
  test('is taken in every scheme of the transport', () => {
    expect(parseDialAddress(transport, 'two://example.org:1')).toMatchObject({ scheme: 'two', host: 'example.org' })
  })

  test('of another scheme is unsupported, and what is no address is invalid', () => {
    expect(codeOf(() => parseDialAddress(transport, 'three://example.org:1'))).toBe('ADDRESS_UNSUPPORTED')
    expect(codeOf(() => parseDialAddress(transport, 'example.org'))).toBe('ADDRESS_INVALID')
  })
})

describe('whom a dial is to reach', () => {
  test('is who the caller expects or the address names, or whoever answers', () => {
    expect(target('one://example.org:1').expected).toBeUndefined()
    expect(target('one://example.org:1', peer).expected).toBe(peer)
    expect(target(`one://${peer}@example.org:1`).expected).toBe(peer)
    expect(target(`one://${peer}@example.org:1`, peer)).toMatchObject({ address: { port: 1 }, expected: peer })
  })

  test('has to be the same in both', () => {
    expect(codeOf(() => target(`one://${peer}@example.org:1`, other))).toBe('ADDRESS_INVALID')
  })

  test('is not the node itself', () => {
    expect(codeOf(() => target('one://example.org:1', own))).toBe('IDENTITY_OWN')
    expect(codeOf(() => target(`one://${own}@example.org:1`))).toBe('IDENTITY_OWN')
  })

  test('has a host', () => {
    expect(codeOf(() => target(`one://${peer}`))).toBe('ADDRESS_INVALID')
  })

  test('is a node id, else the caller is wrong and not the address', () => {
    expect(() => target('one://example.org:1', 'somebody' as NodeId)).toThrow(ArgumentError)
  })
})
