import { networkInterfaces } from 'node:os'
import { formatAddress } from '@aiv/transport-api'

/** A socket's address as a URL; an IPv4-mapped IPv6 address as the IPv4 one. `undefined` when the socket has none. */
export function htxAddress(host: string | undefined, port: number | undefined): string | undefined {
  if (host === undefined || port === undefined) return undefined
  const plain = host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host
  return formatAddress({ scheme: 'htx', nodeId: undefined, host: plain, port, path: '' })
}

/**
 * What others can dial when a socket is bound to `host`: the address itself, or, for a wildcard, every address of every
 * interface, those that only this machine reaches last. Link-local IPv6 addresses are left out: they mean nothing
 * without the name of an interface of whoever dials.
 */
export function dialableHosts(host: string): readonly string[] {
  if (host !== '::' && host !== '0.0.0.0') return [host]
  const all = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => (family === 'IPv4' || host === '::') && !address.startsWith('fe80:'))
  const outside = all.filter(({ internal }) => !internal)
  const inside = all.filter(({ internal }) => internal)
  return [...outside, ...inside].map(({ address }) => address)
}
