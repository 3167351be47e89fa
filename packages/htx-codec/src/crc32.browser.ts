import { type Crc32, portableCrc32 } from './crc32.js'

/** {@link Crc32}: the portable one, as browsers offer none. */
export const crc32: Crc32 = portableCrc32
