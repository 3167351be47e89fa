import { describe, expect, test } from '@jest/globals'
import { dialableHosts, listenError, socketAddress } from '../src/index.js'
import { verifyHtxTransportOptions } from '../src/transport-options.js'

describe('addresses of sockets', () => {
  test('are URLs, IPv4-mapped ones as IPv4', () => {
    expect(socketAddress('htx', '::ffff:192.0.2.1', 8888)).toBe('htx://192.0.2.1:8888')
    expect(socketAddress('ws', '2001:db8::1', 80, '/p2p')).toBe('ws://[2001:db8::1]:80/p2p')
    expect(socketAddress('htx', undefined, 1)).toBeUndefined()
  })

  test('of a wildcard are those of the interfaces, internal ones last, link-local ones left out', () => {
    const interfaces = [
      { address: '127.0.0.1', family: 'IPv4', internal: true },
      { address: '::1', family: 'IPv6', internal: true },
      { address: '192.0.2.1', family: 'IPv4', internal: false },
      { address: 'fe80::1', family: 'IPv6', internal: false },
      { address: '2001:db8::1', family: 'IPv6', internal: false },
    ]
    expect(dialableHosts('::', interfaces)).toEqual(['192.0.2.1', '2001:db8::1', '127.0.0.1', '::1'])
    expect(dialableHosts('0.0.0.0', interfaces)).toEqual(['192.0.2.1', '127.0.0.1'])
    expect(dialableHosts('192.0.2.1', interfaces)).toEqual(['192.0.2.1'])
  })
})

test.each([
  ['EADDRINUSE', 8888, 'TRANSPORT_PORT_TAKEN', 'another port'],
  ['EACCES', 80, 'TRANSPORT_PERMISSION', 'higher'],
  ['EPERM', 8888, 'TRANSPORT_PERMISSION', 'ask'],
  ['EADDRNOTAVAIL', 8888, 'TRANSPORT_UNAVAILABLE', 'cannot listen'],
])('%s on port %i is %s, with what to do', (errno, port, code, hint) => {
  const error = listenError(Object.assign(new Error('no'), { code: errno }), undefined, port)
  expect(error.code).toBe(code)
  expect(error.message).toContain(hint)
})

describe('options of a transport', () => {
  test('out of range are refused', () => {
    expect(() => verifyHtxTransportOptions({ dialTimeoutMs: 0 })).toThrow('dialTimeoutMs')
    expect(() => verifyHtxTransportOptions({ maxConnections: 1.5 })).toThrow('maxConnections')
    expect(() => verifyHtxTransportOptions({ knownHosts: -1 })).toThrow('knownHosts')
  })

  test('a heartbeat from the policy holds, but never so rare that the other side would give up', () => {
    const { session } = verifyHtxTransportOptions({})
    expect(session(undefined).keepAliveMs).toBe(15_000)
    expect(session(5_000).keepAliveMs).toBe(5_000)
    expect(session(600_000).keepAliveMs).toBe(30_000)
    expect(session(600_000)).toBe(session(600_000))
  })
})
