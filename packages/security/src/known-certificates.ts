import { equalBytes, toHex } from '@aiv/transport-api'

/**
 * Certificates whose signature was verified, so that a peer that comes again costs no second verification. One for each
 * node key, the newest; at most {@link MAX_KNOWN_CERTIFICATES}, the one unused for longest goes first. Byte for byte the
 * same certificate and the same Noise key, or it is not known.
 */
export class KnownCertificates {
  readonly #known = new Map<string, { readonly certificate: Uint8Array; readonly noiseKey: Uint8Array }>()

  has(certificate: Uint8Array, noiseKey: Uint8Array): boolean {
    const name = nameOf(certificate)
    const entry = this.#known.get(name)
    if (entry === undefined) return false
    if (!equalBytes(entry.certificate, certificate) || !equalBytes(entry.noiseKey, noiseKey)) return false
    this.#known.delete(name)
    this.#known.set(name, entry)
    return true
  }

  /** Only what was verified. Keeps copies. */
  add(certificate: Uint8Array, noiseKey: Uint8Array): void {
    const name = nameOf(certificate)
    this.#known.delete(name)
    this.#known.set(name, { certificate: new Uint8Array(certificate), noiseKey: new Uint8Array(noiseKey) })
    if (this.#known.size <= MAX_KNOWN_CERTIFICATES) return
    for (const oldest of this.#known.keys()) {
      this.#known.delete(oldest)
      break
    }
  }

  get size(): number {
    return this.#known.size
  }
}

/** About 300 KiB. */
export const MAX_KNOWN_CERTIFICATES = 1_024

/** The node key. */
function nameOf(certificate: Uint8Array): string {
  return toHex(certificate.subarray(0, 32))
}
