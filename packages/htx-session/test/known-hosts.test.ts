import { expect, test } from '@jest/globals'
import { KnownHosts } from '../src/known-hosts.js'

test('the host unseen for longest is forgotten first, and seeing one again counts', () => {
  const hosts = new KnownHosts(2)
  hosts.add('a')
  hosts.add('b')
  hosts.add('a')
  hosts.add('c')
  expect([hosts.has('a'), hosts.has('b'), hosts.has('c'), hosts.size]).toEqual([true, false, true, 2])
})
