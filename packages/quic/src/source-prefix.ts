import { sourcePrefixes } from '@aiv/transport-api'

/** What limits per source are counted by: an IPv4 address, or the /64 of an IPv6 address. */
export function sourcePrefix(host: string): string {
  return sourcePrefixes(host).host
}
