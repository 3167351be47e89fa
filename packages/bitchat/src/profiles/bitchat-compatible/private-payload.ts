import { ArgumentError, joinBytes } from '@aiv/transport-api'
import { decodeBitField, encodeBitField } from './bit-field.js'
import { decodeText, decodeTlvs, encodeText, encodeTlvs } from './tlv.js'

const Inner = { Message: 0x01, Read: 0x02, Delivered: 0x03, File: 0x20, OldFile: 0x09, PeerState: 0x21 } as const
const PEER_STATE_VERSION = 1

/** What a Noise transport message holds: one byte of type, and this. */
export type PrivatePayload =
  | { readonly type: 'message'; readonly messageId: string; readonly text: string }
  | { readonly type: 'delivered'; readonly messageId: string }
  | { readonly type: 'read'; readonly messageId: string }
  /** Encoded by {@link encodeFile}. */
  | { readonly type: 'file'; readonly file: Uint8Array }
  /** Inside the session, so from the owner of the Noise key: which Ed25519 key goes with it. */
  | { readonly type: 'peer-state'; readonly capabilities: bigint; readonly signingKey: Uint8Array }

/** @throws ArgumentError for a message id or a text over 255 bytes, or a key that has not 32. */
export function encodePrivatePayload(payload: PrivatePayload): Uint8Array {
  switch (payload.type) {
    case 'message': {
      const fields = [
        { type: 0, value: encodeText(payload.messageId) },
        { type: 1, value: encodeText(payload.text) },
      ]
      return joinBytes([Uint8Array.of(Inner.Message), encodeTlvs(fields, 1)])
    }
    case 'delivered':
      return joinBytes([Uint8Array.of(Inner.Delivered), encodeText(payload.messageId)])
    case 'read':
      return joinBytes([Uint8Array.of(Inner.Read), encodeText(payload.messageId)])
    case 'file':
      return joinBytes([Uint8Array.of(Inner.File), payload.file])
    case 'peer-state': {
      if (payload.signingKey.length !== 32) throw new ArgumentError('a key has 32 bytes')
      const fields = [
        { type: 1, value: encodeBitField(payload.capabilities) },
        { type: 2, value: payload.signingKey },
      ]
      return joinBytes([Uint8Array.of(Inner.PeerState, PEER_STATE_VERSION), encodeTlvs(fields, 1)])
    }
  }
}

/** `undefined` for a type that is not known and for anything malformed. Bytes are views. */
export function decodePrivatePayload(bytes: Uint8Array): PrivatePayload | undefined {
  const rest = bytes.subarray(1)
  switch (bytes[0]) {
    case Inner.Message:
      return decodeMessage(rest)
    case Inner.Delivered:
      return withId('delivered', rest)
    case Inner.Read:
      return withId('read', rest)
    case Inner.File:
    case Inner.OldFile:
      return { type: 'file', file: rest }
    case Inner.PeerState:
      return decodePeerState(rest)
    default:
      return undefined
  }
}

function decodeMessage(bytes: Uint8Array): PrivatePayload | undefined {
  const fields = new Map(decodeTlvs(bytes, 1)?.map(({ type, value }) => [type, value]))
  const [id, content] = [fields.get(0), fields.get(1)]
  const messageId = id && decodeText(id)
  const text = content && decodeText(content)
  if (messageId === undefined || text === undefined) return undefined
  return { type: 'message', messageId, text }
}

function withId(type: 'delivered' | 'read', bytes: Uint8Array): PrivatePayload | undefined {
  const messageId = bytes.length > 255 ? undefined : decodeText(bytes)
  return messageId === undefined || messageId === '' ? undefined : { type, messageId }
}

/** Unlike an announcement it is canonical: no field twice, capabilities without zeros at the end. */
function decodePeerState(bytes: Uint8Array): PrivatePayload | undefined {
  if (bytes[0] !== PEER_STATE_VERSION) return undefined
  const tlvs = decodeTlvs(bytes.subarray(1), 1) ?? []
  const fields = new Map(tlvs.map(({ type, value }) => [type, value]))
  const [bits, signingKey] = [fields.get(1), fields.get(2)]
  if (fields.size !== tlvs.length || bits === undefined || signingKey?.length !== 32) return undefined
  const capabilities = decodeBitField(bits)
  if (capabilities === undefined || encodeBitField(capabilities).length !== bits.length) return undefined
  return { type: 'peer-state', capabilities, signingKey }
}
