import fc from 'fast-check'
import type { Frame } from '../src/index.js'

/** Any frame that can be sent. */
export function anyFrame(): fc.Arbitrary<Frame> {
  return fc.record({
    flags: fc.integer({ min: 0, max: 3 }),
    type: fc.integer({ min: 0, max: 255 }),
    sequence: fc.integer({ min: 0, max: 0xffffffff }),
    timestamp: fc.maxSafeNat(),
    payload: fc.uint8Array({ maxLength: 300, size: 'max' }),
  })
}

/** A byte string with some bytes changed, cut out or put in. */
export function mutated(bytes: Uint8Array): fc.Arbitrary<Uint8Array> {
  const edit = fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.constantFrom('set', 'drop', 'insert'))
  return fc.array(edit, { minLength: 1, maxLength: 6 }).map((edits) => {
    const out = [...bytes]
    for (const [place, byte, kind] of edits) {
      const at = out.length === 0 ? 0 : place % out.length
      if (kind === 'set') out[at] = byte
      else out.splice(at, kind === 'drop' ? 1 : 0, ...(kind === 'drop' ? [] : [byte]))
    }
    return Uint8Array.from(out)
  })
}

/** Bytes that LZ4 has something to do with: words repeated at various distances, and noise between them. */
export function compressible(maxPieces = 40): fc.Arbitrary<Uint8Array> {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40, size: 'max' }),
    fc
      .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 600 }))
      .map(([byte, n]) => new Uint8Array(n).fill(byte)),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 24 }), fc.integer({ min: 1, max: 40 }))
      .map(([word, n]) => Uint8Array.from({ length: word.length * n }, (_, i) => word[i % word.length] as number)),
  )
  return fc
    .array(piece, { maxLength: maxPieces, size: 'max' })
    .map((pieces) => Uint8Array.from(pieces.flatMap((part) => [...part])))
}
