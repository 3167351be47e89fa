import { readVarint, varintLength, varintLengthFrom, writeVarint } from '@aiv/transport-api'

/**
 * What is inside a sealed packet of a session: frames, one after another, in any order. docs/wire/bitchat-native.md
 *
 * | type | frame | after the type byte |
 * |--:|---|---|
 * | 01 | fragment | to the end: a fragment of a message |
 * | 02 | block acknowledgement | length u8, block acknowledgement |
 * | 03 | ping | number u32 |
 * | 04 | pong | number u32 |
 * | 05 | credit | varint: bytes of messages that the application has taken |
 * | 06 | close | code u16, to the end: reason in UTF-8 |
 * | 07 | datagram | to the end |
 */
export type SessionFrame =
  | { readonly type: 'fragment'; readonly bytes: Uint8Array }
  | { readonly type: 'block-ack'; readonly bytes: Uint8Array }
  | { readonly type: 'ping' | 'pong'; readonly number: number }
  | { readonly type: 'credit'; readonly takenBytes: number }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }

const Type = { Fragment: 1, BlockAck: 2, Ping: 3, Pong: 4, Credit: 5, Close: 6, Datagram: 7 } as const
/** Longest reason of a close, in bytes. */
const MAX_REASON_BYTES = 128
const utf8 = new TextEncoder()

/** A new buffer. Fragments, datagrams and closes have to be the last frame of their packet. */
export function encodeFrame(frame: SessionFrame): Uint8Array {
  switch (frame.type) {
    case 'fragment':
      return prefixed([Type.Fragment], frame.bytes)
    case 'block-ack':
      return prefixed([Type.BlockAck, frame.bytes.length], frame.bytes)
    case 'ping':
    case 'pong': {
      const out = new Uint8Array(5)
      out[0] = frame.type === 'ping' ? Type.Ping : Type.Pong
      new DataView(out.buffer).setUint32(1, frame.number)
      return out
    }
    case 'credit': {
      const out = new Uint8Array(1 + varintLength(frame.takenBytes))
      out[0] = Type.Credit
      writeVarint(out, 1, frame.takenBytes)
      return out
    }
    case 'close': {
      const { code, reason } = frame
      return prefixed([Type.Close, code >>> 8, code & 0xff], utf8.encode(reason).subarray(0, MAX_REASON_BYTES))
    }
    case 'datagram':
      return prefixed([Type.Datagram], frame.bytes)
  }
}

/** All frames of a packet, views into it; `undefined` when it is no run of frames. */
export function decodeFrames(packet: Uint8Array): SessionFrame[] | undefined {
  const frames: SessionFrame[] = []
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length)
  let at = 0
  while (at < packet.length) {
    const type = packet[at++] as number
    const rest = packet.length - at
    switch (type) {
      case Type.Fragment:
        frames.push({ type: 'fragment', bytes: packet.subarray(at) })
        return frames
      case Type.Datagram:
        frames.push({ type: 'datagram', bytes: packet.subarray(at) })
        return frames
      case Type.Close: {
        if (rest < 2) return undefined
        const reason = new TextDecoder().decode(packet.subarray(at + 2, at + 2 + MAX_REASON_BYTES))
        frames.push({ type: 'close', code: view.getUint16(at), reason })
        return frames
      }
      case Type.BlockAck: {
        const length = packet[at] ?? rest
        if (length >= rest) return undefined
        frames.push({ type: 'block-ack', bytes: packet.subarray(at + 1, at + 1 + length) })
        at += 1 + length
        break
      }
      case Type.Ping:
      case Type.Pong:
        if (rest < 4) return undefined
        frames.push({ type: type === Type.Ping ? 'ping' : 'pong', number: view.getUint32(at) })
        at += 4
        break
      case Type.Credit: {
        const takenBytes = readVarint(packet, at)
        if (takenBytes < 0) return undefined
        frames.push({ type: 'credit', takenBytes })
        at += varintLengthFrom(packet[at] as number)
        break
      }
      default:
        return undefined
    }
  }
  return frames
}

function prefixed(head: readonly number[], bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(head.length + bytes.length)
  out.set(head)
  out.set(bytes, head.length)
  return out
}
