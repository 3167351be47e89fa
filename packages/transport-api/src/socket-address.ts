import { formatAddress } from './address.js'

/**
 * A socket's end as a URL without a node id; an IPv4-mapped IPv6 address as the IPv4 one. `undefined` when the platform
 * does not say.
 */
export function socketAddress(scheme: string, host: string, port: number, path?: string): string
export function socketAddress(
  scheme: string,
  host: string | undefined,
  port: number | undefined,
  path?: string,
): string | undefined
export function socketAddress(
  scheme: string,
  host: string | undefined,
  port: number | undefined,
  path = '',
): string | undefined {
  if (host === undefined || port === undefined) return undefined
  const plain = host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host
  return formatAddress({ scheme, nodeId: undefined, host: plain, port, path })
}

/** An address of a network interface. */
export interface InterfaceAddress {
  readonly address: string
  readonly family: string
  /** Reached from this machine only. */
  readonly internal: boolean
}

/**
 * What others can dial when a socket is bound to `host`: the address itself, or, for a wildcard, those of all interfaces,
 * the internal ones last. Link-local IPv6 addresses are left out: they mean nothing without the name of an interface of
 * whoever dials.
 * @param interfaces - as `os.networkInterfaces()` lists them.
 */
export function dialableHosts(
  host: string,
  interfaces: Readonly<Record<string, readonly InterfaceAddress[] | undefined>>,
): readonly string[] {
  if (host !== '::' && host !== '0.0.0.0') return [host]
  const all = Object.values(interfaces)
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => (family === 'IPv4' || host === '::') && !address.startsWith('fe80:'))
  return [...all.filter(({ internal }) => !internal), ...all.filter(({ internal }) => internal)].map(
    ({ address }) => address,
  )
}
