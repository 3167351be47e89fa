import { nodeCrypto, portableCrypto, type Crypto } from '../src/index.js'

/** Both implementations, for tests that hold for either. */
export const cryptos: readonly (readonly [name: string, crypto: Crypto])[] = [
  ['nodeCrypto', nodeCrypto],
  ['portableCrypto', await portableCrypto()],
]
