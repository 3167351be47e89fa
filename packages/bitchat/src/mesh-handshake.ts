import {
  AivError,
  type Handshake,
  type Millis,
  type NodeId,
  Priority,
  type SecureChannels,
  type SecureSession,
  joinBytes,
  nodeIdToBytes,
} from '@aiv/transport-api'
import { type MeshPacket, MeshPacketType } from './mesh-packet.js'
import { MAX_SESSIONS_PER_PEER } from './session-cipher.js'

/** Names a handshake between two nodes; the first 11 bits become the number of the session. */
export const HANDSHAKE_ID_BYTES = 6
const LABEL = 'aiv-mesh/1'
const NOTHING = new Uint8Array(0)
/** A message is said again after this, twice as long each time, up to the second value. */
const FIRST_REPEAT_MS = 1_000
const MAX_REPEAT_MS = 8_000
/** A message that comes again is answered again, but not more often. */
const ANSWER_INTERVAL_MS = 300

/** Message number (1 to 3) and handshake of a packet of type `Handshake`: they are its id. */
export function readHandshakeId({ id }: MeshPacket): { readonly handshake: Uint8Array; readonly message: number } {
  return { handshake: id.subarray(0, HANDSHAKE_ID_BYTES), message: id[HANDSHAKE_ID_BYTES] as number }
}

/** The session that a handshake leads to. */
export function sessionNumber(handshake: Uint8Array): number {
  return (((handshake[0] as number) << 8) | (handshake[1] as number)) & (MAX_SESSIONS_PER_PEER - 1)
}

/**
 * One Noise XX handshake with a node somewhere in the mesh: repeats what is not answered, and answers again what comes
 * again. The packet id is handshake 6 ‖ message 1 ‖ attempt 1, so that message 2 with its certificate fits one packet.
 */
export class MeshHandshake {
  readonly id: Uint8Array
  readonly remote: NodeId
  readonly isInitiator: boolean
  readonly startedAt: Millis
  readonly #local: NodeId
  readonly #noise: Handshake
  #expected: 1 | 2 | 3 | undefined
  #said: { readonly message: number; readonly bytes: Uint8Array } | undefined
  #attempt = 0
  #sayAt: Millis | undefined
  #repeatMs = FIRST_REPEAT_MS
  #lastSaidAt: Millis = Number.NEGATIVE_INFINITY

  constructor(
    now: Millis,
    secure: SecureChannels,
    parts: {
      readonly id: Uint8Array
      readonly local: NodeId
      readonly remote: NodeId
      readonly isInitiator: boolean
    },
  ) {
    const { id, local, remote, isInitiator } = parts
    this.id = id
    this.remote = remote
    this.isInitiator = isInitiator
    this.startedAt = now
    this.#local = local
    const [initiator, responder] = isInitiator ? [local, remote] : [remote, local]
    this.#noise = secure.start({
      role: isInitiator ? 'initiator' : 'responder',
      pattern: 'XX',
      suite: 'chacha20-poly1305',
      label: LABEL,
      prologue: joinBytes([
        new TextEncoder().encode(`${LABEL}\0`),
        nodeIdToBytes(initiator),
        nodeIdToBytes(responder),
        id,
      ]),
      payload: NOTHING,
      expected: isInitiator ? remote : undefined,
      remoteStatic: undefined,
    })
    this.#expected = isInitiator ? 2 : 1
    if (isInitiator) this.#say(now, 1)
  }

  /** A session, or what was wrong; `undefined` while it goes on. */
  get outcome(): SecureSession | AivError | undefined {
    return this.#noise.outcome
  }

  handleMessage(now: Millis, number: number, message: Uint8Array): void {
    if (number === this.#expected) {
      this.#noise.handleMessage(message)
      this.#expected = number === 1 ? 3 : undefined
      this.#said = undefined
      this.#sayAt = undefined
      if (number < 3 && !(this.#noise.outcome instanceof AivError)) this.#say(now, number + 1)
    } else if (this.#said?.message === number + 1 && now >= this.#lastSaidAt + ANSWER_INTERVAL_MS) {
      this.#sayAt = now
    }
  }

  /** The other node is within reach: what it has not heard is said now. */
  peerSeen(now: Millis): void {
    if (this.#said !== undefined && this.#expected !== 3 && now >= this.#lastSaidAt + ANSWER_INTERVAL_MS)
      this.#sayAt = now
  }

  poll(now: Millis): MeshPacket | undefined {
    if (this.#said === undefined || this.#sayAt === undefined || this.#sayAt > now) return undefined
    const { message, bytes } = this.#said
    // the initiator asks until it is answered; the responder answers when it is asked
    this.#sayAt = this.isInitiator ? now + this.#repeatMs : undefined
    this.#repeatMs = Math.min(MAX_REPEAT_MS, this.#repeatMs * 2)
    this.#lastSaidAt = now
    const attempt = this.#attempt++
    return {
      type: MeshPacketType.Handshake,
      priority: Priority.High,
      flood: attempt > 0,
      proofWanted: false,
      source: this.#local,
      destination: this.remote,
      id: joinBytes([this.id, Uint8Array.of(message, attempt & 0xff)]),
      payload: bytes,
    }
  }

  nextTimeout(): Millis | undefined {
    return this.#sayAt
  }

  #say(now: Millis, message: number): void {
    const bytes = this.#noise.pollMessage()
    if (bytes === undefined) return
    this.#said = { message, bytes }
    this.#attempt = 0
    this.#repeatMs = FIRST_REPEAT_MS
    this.#sayAt = now
  }
}
