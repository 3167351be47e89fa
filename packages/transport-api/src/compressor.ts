/** Makes messages smaller on slow paths; handed in. */
export interface Compressor {
  /** What the two sides agree on: `lz4`. */
  readonly name: string
  /** A new buffer; `undefined` when the result would not be at least 5 % smaller. */
  compress(bytes: Uint8Array): Uint8Array | undefined
  /** A new buffer of at most `maxBytes`; `undefined` for corrupt input and for anything larger. Costs no more than `maxBytes`. */
  decompress(bytes: Uint8Array, maxBytes: number): Uint8Array | undefined
}
