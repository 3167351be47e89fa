import { ArgumentError, byteLength, type AeadOpener, type Bytes } from '@aiv/transport-api'
import { TAG_BYTES, type Aead } from './crypto.js'
import type { AeadFactory } from './crypto.node.js'

/** The part of the package `sodium-native` that is used; buffers are filled in place, a wrong tag throws. */
interface NativeSodium {
  crypto_aead_chacha20poly1305_ietf_encrypt(
    sealed: Uint8Array,
    plain: Uint8Array,
    aad: Uint8Array,
    secretNonce: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number
  crypto_aead_chacha20poly1305_ietf_decrypt(
    plain: Uint8Array,
    secretNonce: null,
    sealed: Uint8Array,
    aad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number
}

/** Imported by a variable name, so that neither compiler nor bundler asks for a package that is optional. */
const PACKAGE: string = 'sodium-native'

/**
 * ChaCha20-Poly1305 on the native package `sodium-native`, an optional peer dependency: for messages of a few hundred
 * bytes several times as fast as node:crypto, which spends most of its time on setting up a cipher.
 *
 * ```ts
 * const aead = await loadNativeSodium()
 * const crypto = aead && createNodeCrypto({ aeads: { 'chacha20-poly1305': aead }, suites: ['chacha20-poly1305', 'aes-256-gcm'] })
 * ```
 *
 * @param load - how to import the package; by default from where this package is installed.
 * @returns `undefined` where the package is not installed, or was built for another platform.
 */
export async function loadNativeSodium(
  load: () => Promise<unknown> = () => import(PACKAGE),
): Promise<AeadFactory | undefined> {
  let native: NativeSodium | undefined
  try {
    native = nativeFrom(await load())
  } catch {
    return undefined // whoever wants to know why imports it alone
  }
  const sodium = native
  return sodium === undefined ? undefined : (key) => new NativeAead(sodium, key)
}

class NativeAead implements Aead {
  readonly #sodium: NativeSodium
  #key: Uint8Array | undefined

  constructor(sodium: NativeSodium, key: Uint8Array) {
    this.#sodium = sodium
    this.#key = new Uint8Array(key)
  }

  seal(nonce: Uint8Array, aad: Uint8Array, plain: Bytes): Uint8Array[] {
    const joined = plain instanceof Uint8Array ? plain : join(plain)
    const sealed = uninitialised(joined.length + TAG_BYTES)
    this.#sodium.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, joined, aad, null, nonce, this.#usable())
    return [sealed.subarray(0, joined.length), sealed.subarray(joined.length)]
  }

  open(nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
    if (sealed.length < TAG_BYTES) return undefined
    const plain = uninitialised(sealed.length - TAG_BYTES)
    try {
      this.#sodium.crypto_aead_chacha20poly1305_ietf_decrypt(plain, null, sealed, aad, nonce, this.#usable())
    } catch (error) {
      if (error instanceof ArgumentError) throw error
      return undefined
    }
    return plain
  }

  /** This library opens only whole messages: pieces wait for the tag, at most a frame of them. */
  opener(nonce: Uint8Array, aad: Uint8Array): AeadOpener {
    const ownNonce = new Uint8Array(nonce)
    const ownAad = new Uint8Array(aad)
    const pieces: Uint8Array[] = []
    this.#usable()
    return {
      // copies, since a piece is the caller's again after the call
      update: (piece) => void pieces.push(new Uint8Array(piece)),
      finish: (tag) => {
        if (tag.length !== TAG_BYTES) return undefined
        const plain = this.open(ownNonce, ownAad, join([...pieces, tag]))
        return plain === undefined ? undefined : [plain]
      },
    }
  }

  wipe(): void {
    this.#key?.fill(0)
    this.#key = undefined
  }

  #usable(): Uint8Array {
    if (this.#key === undefined) throw new ArgumentError('this key was wiped')
    return this.#key
  }
}

/** Filled by the library before anybody sees it. */
function uninitialised(length: number): Uint8Array {
  return Buffer.allocUnsafe(length)
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const out = uninitialised(byteLength(pieces))
  let at = 0
  for (const piece of pieces) {
    out.set(piece, at)
    at += piece.length
  }
  return out
}

function nativeFrom(module: unknown): NativeSodium | undefined {
  const found = (module as { readonly default?: unknown } | undefined)?.default ?? module
  const native = (found ?? {}) as NativeSodium
  return typeof native.crypto_aead_chacha20poly1305_ietf_encrypt === 'function' &&
    typeof native.crypto_aead_chacha20poly1305_ietf_decrypt === 'function'
    ? native
    : undefined
}
