/**
 * A Golomb-coded set: numbers below `modulus`, sorted, each as the difference to the one before it less one, in
 * Golomb-Rice code: the quotient by 2^`parameter` in ones, a zero, then `parameter` bits of remainder. Most significant
 * bit first. It answers "surely not" or "probably".
 */
export interface GolombSet {
  /** P: a number that was not put in is found with a probability of 2^−P. */
  readonly parameter: number
  /** M: 2^P for each number in the set. */
  readonly modulus: number
  readonly data: Uint8Array
}

/** Largest data that is read. */
export const MAX_SET_BYTES = 1_024
/** Largest P that is read. */
export const MAX_PARAMETER = 32
const MAX_MODULUS = 0xffffffff

/**
 * The first 8 bytes of a hash as a number of 63 bits, to be reduced by {@link reduce}.
 * @param hash - SHA-256 of what goes into the set.
 */
export function hashNumber(hash: Uint8Array): bigint {
  return new DataView(hash.buffer, hash.byteOffset).getBigUint64(0) & 0x7fff_ffff_ffff_ffffn
}

/** Where a hash stands in a set of this modulus: 1 to `modulus` − 1, as 0 would have no difference to the beginning. */
export function reduce(hash: bigint, modulus: number): number {
  return Number(hash % BigInt(modulus)) || 1
}

/**
 * As many of `hashes` as `maxBytes` hold, the first ones first.
 * @param parameter - P, 1 to 24.
 */
export function encodeGolombSet(
  hashes: readonly bigint[],
  parameter: number,
  maxBytes: number,
): GolombSet & { readonly count: number } {
  let count = Math.min(
    hashes.length,
    Math.floor((8 * maxBytes) / (parameter + 2)),
    Math.floor(MAX_MODULUS / 2 ** parameter),
  )
  for (; ; count = Math.floor(count * 0.95)) {
    const modulus = Math.max(1, count * 2 ** parameter)
    const data = encodeNumbers(
      hashes.slice(0, count).map((hash) => reduce(hash, modulus)),
      parameter,
    )
    // the estimate is an average: unlucky differences take a little more
    if (data.length <= maxBytes) return { parameter, modulus, data, count }
  }
}

/** The numbers of a set. Ends where they do, or at the first that is not below M: zeros that fill a byte look like one. */
export function decodeGolombSet({ parameter, modulus, data }: GolombSet): Set<number> {
  const numbers = new Set<number>()
  const end = data.length * 8
  let at = 0
  const bit = (): number => ((data[at >>> 3] as number) >>> (7 - (at++ & 7))) & 1
  for (let last = 0; ;) {
    let quotient = 0
    while (at < end && bit() === 1) quotient++
    if (at + parameter > end) return numbers
    let remainder = 0
    for (let i = 0; i < parameter; i++) remainder = remainder * 2 + bit()
    last += quotient * 2 ** parameter + remainder + 1
    if (last >= modulus) return numbers
    numbers.add(last)
    if (at === end) return numbers
  }
}

function encodeNumbers(numbers: readonly number[], parameter: number): Uint8Array {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const size = 2 ** parameter
  const out: number[] = []
  let length = 0
  const put = (bit: number): void => {
    if (length % 8 === 0) out.push(0)
    if (bit === 1) out[out.length - 1] = (out[out.length - 1] as number) | (0x80 >>> (length % 8))
    length++
  }
  let last = 0
  for (const number of sorted) {
    const difference = number - last - 1
    last = number
    for (let quotient = Math.floor(difference / size); quotient > 0; quotient--) put(1)
    put(0)
    for (let i = parameter - 1; i >= 0; i--) put(Math.floor(difference / 2 ** i) % 2)
  }
  return Uint8Array.from(out)
}
