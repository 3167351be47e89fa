import type { Crc32 } from './crc32.js'

/** No native CRC-32 here: always `undefined`, without asking `load`. */
export function loadNativeCrc32(_load?: () => Promise<unknown>): Promise<Crc32 | undefined> {
  return Promise.resolve(undefined)
}
