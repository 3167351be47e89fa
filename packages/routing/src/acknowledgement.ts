import { ArgumentError } from '@aiv/transport-api'
import { PacketKind } from './packet.js'

/** Bytes of k, the proof of receipt. */
export const PROOF_BYTES = 16
/** Most proofs in one acknowledgement. */
export const MAX_PROOFS = 64

/**
 * Packet 08, in a new buffer: `08 ‖ k 16 ‖ k 16 …`, 1 to 64 of them. Each k stood in the plaintext of an envelope, whose
 * message id is its hash: only who could open the envelope can show it.
 * @throws ArgumentError for none or more than 64, or one that has not 16 bytes. docs/wire/packets.md
 */
export function encodeAcknowledgement(proofs: readonly Uint8Array[]): Uint8Array {
  if (proofs.length < 1 || proofs.length > MAX_PROOFS) throw new ArgumentError(`${proofs.length} proofs: 1 to 64`)
  const out = new Uint8Array(1 + proofs.length * PROOF_BYTES)
  out[0] = PacketKind.Ack
  let at = 1
  for (const proof of proofs) {
    if (proof.length !== PROOF_BYTES) throw new ArgumentError(`a proof of receipt has 16 bytes, not ${proof.length}`)
    out.set(proof, at)
    at += PROOF_BYTES
  }
  return out
}

/** Reads packet 08: views of 16 bytes; `undefined` for another kind, or a length that is not 1 to 64 proofs. */
export function decodeAcknowledgement(bytes: Uint8Array): readonly Uint8Array[] | undefined {
  const length = bytes.length - 1
  if (bytes[0] !== PacketKind.Ack || length < PROOF_BYTES || length > MAX_PROOFS * PROOF_BYTES) return undefined
  if (length % PROOF_BYTES !== 0) return undefined
  const proofs: Uint8Array[] = []
  for (let at = 1; at < bytes.length; at += PROOF_BYTES) proofs.push(bytes.subarray(at, at + PROOF_BYTES))
  return proofs
}
