import type { Compressor } from '@aiv/transport-api'

/** No native LZ4 here: always `undefined`, without asking `load`. The portable compressor does it. */
export function loadNativeLz4(_load?: () => Promise<unknown>): Promise<Compressor | undefined> {
  return Promise.resolve(undefined)
}
