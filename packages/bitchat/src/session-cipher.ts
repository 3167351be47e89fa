import { ReplayWindow, type SecureSession, joinBytes } from '@aiv/transport-api'
import { encodeMeshHeader, type MeshPacket, MeshPacketType, PACKET_ID_BYTES } from './mesh-packet.js'
import type { MeshCrypto } from './mesh-types.js'
import { PROOF_BYTES } from './mesh-core.js'
import { plainBytes } from './plain-bytes.js'

/** Explicit nonce in front of what is sealed: initiator 1 bit, session 11 bits, sequence 20 bits. */
export const NONCE_BYTES = 4
const TAG_BYTES = 16
const SEQUENCE_BITS = 20
/** Packets under one key. */
export const MAX_SEALED_PACKETS = 2 ** SEQUENCE_BITS
/** What one sealed packet holds; one that answers with a proof holds {@link PROOF_BYTES} less. */
export const MAX_SEALED_BYTES = 179
const SESSION_BITS = 11
export const MAX_SESSIONS_PER_PEER = 2 ** SESSION_BITS
const REPLAY_WINDOW = 1024

const context = new TextEncoder().encode('aiv-mesh/1\0')
const proofContext = new TextEncoder().encode('aiv-mesh/1 proof')
const NOTHING = new Uint8Array(0)

/** Which session of two nodes a sealed packet belongs to. */
export interface SessionTag {
  /** The packet comes from the side that dialled. */
  readonly fromInitiator: boolean
  /** 0 to 2,047, by the dialling side. */
  readonly number: number
}

/** A header to be completed by {@link SessionCipher.seal}. */
export type UnsealedPacket = Omit<MeshPacket, 'id' | 'payload'>

/** Whose packet that is, of its explicit nonce; `undefined`: too short to be sealed. */
export function readSessionTag(packet: MeshPacket): SessionTag | undefined {
  const sealed = sealedPart(packet)
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
  const first = ((sealed[0] as number) << 8) | (sealed[1] as number)
  return { fromInitiator: first >= 0x8000, number: (first >>> 4) & (MAX_SESSIONS_PER_PEER - 1) }
}

/**
 * Seals and opens the packets of one session, in any order, each once. Every packet's id is the hash of a proof that only
 * the two ends can compute: its acknowledgement shows it, and nodes on the way can check it.
 */
export class SessionCipher {
  readonly #secure: SecureSession
  readonly #crypto: MeshCrypto
  readonly #isInitiator: boolean
  readonly #number: number
  readonly #window = new ReplayWindow(REPLAY_WINDOW)
  #sequence = 0

  constructor(
    secure: SecureSession,
    crypto: MeshCrypto,
    own: { readonly isInitiator: boolean; readonly number: number },
  ) {
    this.#secure = secure
    this.#crypto = crypto
    this.#isInitiator = own.isInitiator
    this.#number = own.number
  }

  /** Packets that may still be sealed. */
  get left(): number {
    return MAX_SEALED_PACKETS - this.#sequence
  }

  /** A packet with its own id. Only while some are {@link left}. */
  seal(header: UnsealedPacket, plain: Uint8Array): MeshPacket {
    const sequence = this.#sequence++
    const proof = this.#proof('sending', sequence)
    const id = plainBytes(this.#crypto.sha256(proof)).slice(0, PACKET_ID_BYTES)
    return this.#sealed({ ...header, id }, NOTHING, sequence, plain)
  }

  /** The acknowledgement of a packet that came, with room for 16 bytes less; bare when there is nothing to say. */
  sealProof(
    header: UnsealedPacket,
    of: { readonly id: Uint8Array; readonly sequence: number },
    plain: Uint8Array,
  ): MeshPacket {
    const proof = this.#proof('receiving', of.sequence)
    const acknowledging = { ...header, id: of.id }
    if (plain.length === 0) return { ...acknowledging, payload: proof }
    return this.#sealed(acknowledging, proof, this.#sequence++, plain)
  }

  /** What was sealed, in a new buffer, with its sequence; `undefined`: forged, or had before. */
  open(packet: MeshPacket): { readonly plain: Uint8Array; readonly sequence: number } | undefined {
    const sealed = sealedPart(packet)
    if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
    const nonce = new DataView(sealed.buffer, sealed.byteOffset, NONCE_BYTES).getUint32(0)
    const sequence = nonce % MAX_SEALED_PACKETS
    if (this.#window.check(sequence) !== 'new') return undefined
    const proof = packet.type === MeshPacketType.Acknowledgement ? packet.payload.subarray(0, PROOF_BYTES) : NOTHING
    const aad = associatedData(packet, proof)
    const plain = this.#secure.receiving.open(sequence, aad, sealed.subarray(NONCE_BYTES))
    if (plain === undefined) return undefined
    this.#window.record(sequence)
    return { plain: plainBytes(plain), sequence }
  }

  #sealed(header: Omit<MeshPacket, 'payload'>, proof: Uint8Array, sequence: number, plain: Uint8Array): MeshPacket {
    const nonce = new Uint8Array(NONCE_BYTES)
    const side = this.#isInitiator ? 2 ** 31 : 0
    new DataView(nonce.buffer).setUint32(0, side + this.#number * MAX_SEALED_PACKETS + sequence)
    const sealed = this.#secure.sending.seal(sequence, associatedData(header, proof), plain)
    return { ...header, payload: joinBytes([proof, nonce, ...sealed]) }
  }

  /** The tag over nothing, under a nonce that no packet uses. */
  #proof(direction: 'sending' | 'receiving', sequence: number): Uint8Array {
    return joinBytes(this.#secure[direction].seal(MAX_SEALED_PACKETS + sequence, proofContext, NOTHING))
  }
}

function sealedPart({ type, payload }: MeshPacket): Uint8Array {
  return type === MeshPacketType.Acknowledgement ? payload.subarray(PROOF_BYTES) : payload
}

function associatedData(header: Omit<MeshPacket, 'payload'>, proof: Uint8Array): Uint8Array {
  return joinBytes([context, encodeMeshHeader(header), proof])
}
