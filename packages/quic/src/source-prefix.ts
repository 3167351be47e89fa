/**
 * What limits per source are counted by: an IPv4 address, or the /64 of an IPv6 address, which is what one household
 * has. IPv4-mapped IPv6 addresses count as the IPv4 address. Takes what sockets give, which is valid.
 */
export function sourcePrefix(host: string): string {
  if (!host.includes(':')) return host
  const plain = host.split('%', 1)[0] as string
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)?.[1]
  if (dotted !== undefined) return dotted
  const [head = '', tail] = plain.split('::') as [string, string?]
  const front = head === '' ? [] : head.split(':')
  const back = tail === undefined || tail === '' ? [] : tail.split(':')
  const missing = tail === undefined ? 0 : Math.max(0, 8 - front.length - back.length)
  const groups = [...front, ...Array<string>(missing).fill('0'), ...back]
  return `${groups.slice(0, 4).join(':').toLowerCase()}::/64`
}
