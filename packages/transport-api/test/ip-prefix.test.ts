import { describe, expect, test } from '@jest/globals'
import { sourcePrefixes } from '../src/index.js'

describe('prefixes of sources', () => {
  test.each([
    ['192.0.2.77', '192.0.2.77', '192.0.2.0/24'],
    ['::ffff:192.0.2.77', '192.0.2.77', '192.0.2.0/24'],
    ['::ffff:c000:24d', '192.0.2.77', '192.0.2.0/24'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', '2001:db8:1::/48'],
    ['2001:DB8:1::', '2001:db8:1:0::/64', '2001:db8:1::/48'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64', 'fe80:0:0::/48'],
    ['::1', '0:0:0:0::/64', '0:0:0::/48'],
    ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64', '64:ff9b:0::/48'],
  ])('%s belongs to %s and %s', (text, host, network) => {
    expect(sourcePrefixes(text)).toEqual({ host, network })
  })

  test.each(['', 'pipe', '1.2.3', '1.2.3.256', ':::', '1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '12345::'])(
    '"%s" is no address and counts by itself',
    (text) => {
      expect(sourcePrefixes(text)).toEqual({ host: `?${text}`, network: `?${text}` })
    },
  )
})
