import { ArgumentError, fromHex, toHex } from '@aiv/transport-api'

/**
 * Names one life of a sender: 64 random bits, chosen anew whenever its counters start again at 0. As text 16 lowercase
 * hex characters, so that it can be a `Map` key; on the wire 8 bytes.
 */
export type Epoch = string

/** Bytes of an epoch on the wire. */
export const EPOCH_BYTES = 8

/** @throws ArgumentError unless there are exactly 8 bytes. */
export function epochFromBytes(bytes: Uint8Array): Epoch {
  if (bytes.length !== EPOCH_BYTES) throw new ArgumentError(`an epoch has ${EPOCH_BYTES} bytes, not ${bytes.length}`)
  return toHex(bytes)
}

/**
 * A new buffer of 8 bytes.
 * @throws ArgumentError unless `epoch` is 16 lowercase hex characters.
 */
export function epochToBytes(epoch: Epoch): Uint8Array {
  if (!/^[0-9a-f]{16}$/.test(epoch)) throw new ArgumentError('an epoch is 16 lowercase hex characters')
  return fromHex(epoch)
}
