import { describe, expect, test } from '@jest/globals'
import { listenError } from '../src/index.js'
import { verifyHtxTransportOptions } from '../src/transport-options.js'

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
