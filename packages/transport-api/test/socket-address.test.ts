import { describe, expect, test } from '@jest/globals'
import { dialableHosts, socketAddress } from '../src/index.js'

describe('addresses of sockets', () => {
  test('are URLs, IPv4-mapped ones as IPv4', () => {
    expect(socketAddress('htx', '::ffff:192.0.2.1', 8888)).toBe('htx://192.0.2.1:8888')
    expect(socketAddress('ws', '2001:db8::1', 80, '/p2p')).toBe('ws://[2001:db8::1]:80/p2p')
    expect(socketAddress('htx', undefined, 1)).toBeUndefined()
  })

  test('of a wildcard are those of the interfaces, internal ones last, link-local ones left out', () => {
    const interfaces = {
      lo: [
        { address: '127.0.0.1', family: 'IPv4', internal: true },
        { address: '::1', family: 'IPv6', internal: true },
      ],
      gone: undefined,
      eth0: [
        { address: '192.0.2.1', family: 'IPv4', internal: false },
        { address: 'fe80::1', family: 'IPv6', internal: false },
        { address: '2001:db8::1', family: 'IPv6', internal: false },
      ],
    }
    expect(dialableHosts('::', interfaces)).toEqual(['192.0.2.1', '2001:db8::1', '127.0.0.1', '::1'])
    expect(dialableHosts('0.0.0.0', interfaces)).toEqual(['192.0.2.1', '127.0.0.1'])
    expect(dialableHosts('192.0.2.1', interfaces)).toEqual(['192.0.2.1'])
  })
})
