/** The networks that limits per source are counted by. */
export interface SourcePrefixes {
  /** What one household or machine has: an IPv4 address, or an IPv6 /64. */
  readonly host: string
  /** What one site or small provider has: an IPv4 /24, or an IPv6 /48. */
  readonly network: string
}

/**
 * The prefixes of an IP address in text form, with or without an IPv6 zone. IPv4-mapped IPv6 addresses (`::ffff:a.b.c.d`)
 * count as the IPv4 address, since a dual-stack listener sees the same host either way.
 *
 * Whatever is no IP address, `undefined` included, counts as one host of its own text: limits then hold for all sources
 * that cannot be told apart together, never for none.
 */
export function sourcePrefixes(address: string | undefined): SourcePrefixes {
  const text = address ?? ''
  if (isIpv4(text)) return ipv4Prefixes(text)
  const groups = parseIpv6(text)
  if (groups === undefined) return { host: `?${text}`, network: `?${text}` }
  const mapped = mappedIpv4(groups)
  if (mapped !== undefined) return ipv4Prefixes(mapped)
  const hex = groups.map((group) => group.toString(16))
  return { host: `${hex.slice(0, 4).join(':')}::/64`, network: `${hex.slice(0, 3).join(':')}::/48` }
}

function ipv4Prefixes(text: string): SourcePrefixes {
  return { host: text, network: `${text.slice(0, text.lastIndexOf('.'))}.0/24` }
}

function isIpv4(text: string): boolean {
  const parts = text.split('.')
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)
}

function mappedIpv4(groups: readonly number[]): string | undefined {
  if (groups[5] !== 0xffff || groups.slice(0, 5).some((group) => group !== 0)) return undefined
  const high = groups[6] as number
  const low = groups[7] as number
  return `${high >>> 8}.${high & 255}.${low >>> 8}.${low & 255}`
}

/** Eight groups of 16 bits, or `undefined`. */
function parseIpv6(address: string): number[] | undefined {
  let text = address.split('%', 1)[0] as string
  const dotted = text.slice(text.lastIndexOf(':') + 1)
  if (isIpv4(dotted)) {
    const [a, b, c, d] = dotted.split('.').map(Number) as [number, number, number, number]
    text = `${text.slice(0, -dotted.length)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  }
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head, tail] = halves.map((half) => (half === '' ? [] : half.split(':'))) as [string[], string[] | undefined]
  const missing = 8 - head.length - (tail?.length ?? 0)
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  const groups = [...head, ...Array<string>(tail === undefined ? 0 : missing).fill('0'), ...(tail ?? [])]
  return groups.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))
    ? groups.map((group) => parseInt(group, 16))
    : undefined
}
