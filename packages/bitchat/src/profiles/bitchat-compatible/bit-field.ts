import { ArgumentError } from '@aiv/transport-api'

const MAX_BYTES = 8

/**
 * Little-endian, without zeros at the end, at least one byte.
 * @throws ArgumentError unless it has 64 bits.
 */
export function encodeBitField(bits: bigint): Uint8Array {
  if (bits < 0n || bits >= 1n << 64n) throw new ArgumentError('a bit field has 64 bits')
  const out: number[] = []
  for (let rest = bits; rest > 0n || out.length === 0; rest >>= 8n) out.push(Number(rest & 0xffn))
  return Uint8Array.from(out)
}

/** `undefined` for no bytes and for more than 8. Zeros at the end are taken. */
export function decodeBitField(bytes: Uint8Array): bigint | undefined {
  if (bytes.length === 0 || bytes.length > MAX_BYTES) return undefined
  return bytes.reduceRight((bits, byte) => (bits << 8n) | BigInt(byte), 0n)
}
