import { deepStrictEqual } from 'node:assert'
import {
  BetanetError,
  ChunkError,
  FrameDecoder,
  FrameError,
  betanetFrameLength,
  crc32,
  decodeBetanetClose,
  decodeBetanetPing,
  decodeBetanetStream,
  decodeBetanetWindowUpdate,
  decodeFrames,
  encodeBetanetClose,
  encodeBetanetStream,
  encodeBetanetWindowUpdate,
  encodeFrame,
  inspectFrame,
  lz4Compressor,
  openBetanetFrame,
  readChunks,
  sealBetanetFrame,
  writeChunkHeader,
} from '@aiv/htx-codec'
import { nodeCrypto } from '@aiv/security'
import { ArgumentError, fromHex, joinBytes, readVarint, toHex, varintLengthFrom, writeVarint } from '@aiv/transport-api'
import { ensure, plain, verdict } from '../expect.mjs'
import { cut } from '../mutate.mjs'

const text = (string) => new TextEncoder().encode(string)
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)

/** The CRC of each frame as far as they can be told apart, made right: else nearly every change ends there. */
export function repairCrc(stream) {
  const out = stream.slice()
  for (let at = 0; at + 24 <= out.length;) {
    const end = at + 20 + ((out[at + 4] << 16) | (out[at + 5] << 8) | out[at + 6])
    if (end + 4 > out.length) break
    new DataView(out.buffer).setUint32(end, crc32(out.subarray(at, end)))
    at = end + 4
  }
  return out
}

const MAX_FRAME_BYTES = 4_096

/** The frames of a stream and how it ended, pushed in these pieces. */
function framesOf(pieces) {
  const frames = []
  const decoder = new FrameDecoder({ maxFrameBytes: MAX_FRAME_BYTES, crc32 })
  let current
  const started = (header, headerBytes) => ({ ...header, headerBytes: headerBytes.slice(), pieces: [] })
  const sink = {
    onFrame: (header, headerBytes, payload) =>
      frames.push({ ...header, headerBytes: headerBytes.slice(), payload: payload.slice() }),
    onFrameStart: (header, headerBytes) => (current = started(header, headerBytes)),
    onFramePiece: (piece) => {
      ensure(piece.length > 0, 'an empty piece')
      current.pieces.push(piece.slice())
    },
    onFrameEnd: () => {
      const { pieces: parts, ...rest } = current
      frames.push({ ...rest, payload: joinBytes(parts) })
    },
  }
  const { code } = verdict([FrameError], () => pieces.forEach((piece) => decoder.push(piece, sink)))
  if (code !== undefined) {
    const { code: again } = verdict([ArgumentError], () => decoder.push(Uint8Array.of(0x48), sink))
    ensure(again === 'ARGUMENT_INVALID', 'a spent decoder went on')
  }
  return { frames, code, midFrame: code === undefined && decoder.midFrame }
}

const frameSeeds = [
  encodeFrame({ flags: 0, type: 0, sequence: 1, timestamp: 1_735_689_600_000, payload: text('hello') }),
  encodeFrame({ flags: 0, type: 3, sequence: 0, timestamp: 0, payload: new Uint8Array(0) }),
  encodeFrame({ flags: 3, type: 9, sequence: 0xffffffff, timestamp: Number.MAX_SAFE_INTEGER, payload: bytes(300) }),
  encodeFrame({ flags: 2, type: 0x0a, sequence: 7, timestamp: 1, payload: bytes(1_500) }),
]
frameSeeds.push(joinBytes(frameSeeds))

/** A sink that obeys the law of readChunks, and notes everything; `kept` bytes never exceed what came. */
class Notes {
  events = []
  #open = new Map()
  bytes = 0
  isOpen(number) {
    return this.#open.has(number)
  }
  onMessage(number, source, start, end) {
    ensure(start >= 0 && end >= start && end <= source.length, 'a message beyond its payload')
    this.#take(end - start)
    this.events.push(`message ${number} ${toHex(source.subarray(start, end))}`)
  }
  onChunkStart(number, final, length, total) {
    ensure((total === undefined) === this.#open.has(number), 'a total where none belongs, or none where one does')
    ensure(final || length > 0, 'an empty chunk that is not final')
    this.current = { number, final, length, total, pieces: [] }
    if (total !== undefined && !final) this.#open.set(number, total)
  }
  onChunkBytes(piece) {
    ensure(piece.length > 0, 'an empty piece of a chunk')
    this.current.pieces.push(piece.slice())
  }
  onChunkEnd() {
    const { number, final, length, total, pieces } = this.current
    const all = joinBytes(pieces)
    ensure(all.length === length, 'a chunk with another number of bytes than it said')
    this.#take(length)
    if (final) this.#open.delete(number)
    // a whole message that lay in two pieces comes as a chunk
    if (final && total !== undefined) this.events.push(`message ${number} ${toHex(all)}`)
    else this.events.push(`chunk ${number} ${final} ${total} ${toHex(all)}`)
  }
  onPadding(length) {
    this.#take(length)
    this.events.push(`padding ${length}`)
  }
  #take(length) {
    this.bytes += length
  }
}

function chunk(number, final, payload, total) {
  const head = new Uint8Array(24)
  return joinBytes([
    head.subarray(0, writeChunkHeader(head, 0, { number, final, length: payload.length, total })),
    payload,
  ])
}

const chunkSeeds = [
  chunk(1, true, text('hello')),
  chunk(1, true, new Uint8Array(0)),
  joinBytes([chunk(1, false, bytes(10), 300), chunk(2, true, bytes(3)), chunk(1, true, bytes(290))]),
  joinBytes([chunk(0, true, bytes(20)), chunk(70_000, true, bytes(5)), chunk(2 ** 40, true, bytes(2))]),
  joinBytes([
    chunk(5, false, bytes(1), 4),
    chunk(5, false, bytes(1)),
    chunk(5, false, bytes(1)),
    chunk(5, true, bytes(1)),
  ]),
]

const lz4 = lz4Compressor()
const words = 'all work and no play makes a dull day and '
const packed = [text(words.repeat(40)), new Uint8Array(3_000), text(words).slice(0, 41), bytes(4_000, 1)].flatMap(
  (plainBytes) => {
    const out = lz4.compress(plainBytes)
    return out === undefined ? [] : [out]
  },
)
const MAX_DECOMPRESSED = 65_536

const betanetKey = new Uint8Array(32).fill(9)
const betanetNonce = new Uint8Array(12)
const chacha = nodeCrypto.aead('chacha20-poly1305', betanetKey)
const betanetAead = {
  seal: (nonce, aad, plainBytes) => joinBytes(chacha.seal(nonce, aad, plainBytes)),
  open: (nonce, aad, sealed) => chacha.open(nonce, aad, sealed),
}
const betanetPayloads = [
  encodeBetanetStream({ fin: true, offset: 2 ** 40, data: bytes(30) }),
  encodeBetanetStream({ fin: false, offset: 0, data: new Uint8Array(0) }),
  encodeBetanetWindowUpdate({ scope: 'stream', credit: 65_536 }),
  encodeBetanetClose({ code: 5, reason: 'flow control' }),
  bytes(8),
]

export const codecTargets = {
  varint: () => ({
    seeds: ['00', '40ff', '80003fff', 'c000000000000001', 'c01fffffffffffff', 'ffffffffffffffff', ''].map(fromHex),
    run(input) {
      const offset = Math.min(2, input.length)
      for (const at of [0, offset]) {
        const value = readVarint(input, at)
        if (value < 0) {
          ensure(value === -1, `a varint of ${value}`)
          continue
        }
        ensure(Number.isSafeInteger(value), 'a varint that is no safe integer')
        ensure(at + varintLengthFrom(input[at]) <= input.length, 'a varint read beyond the end')
        const out = new Uint8Array(8)
        ensure(readVarint(out.subarray(0, writeVarint(out, 0, value)), 0) === value, 'a varint changed')
      }
      return readVarint(input, 0) < 0 ? 'refused' : `${varintLengthFrom(input[0])} bytes`
    },
  }),

  frame: () => ({
    seeds: frameSeeds,
    run(input, random) {
      const stream = random.chance(0.7) ? repairCrc(input) : input
      const whole = framesOf([stream])
      const split = framesOf(cut(random, stream))
      deepStrictEqual(plain(split), plain(whole))
      const all = whole.frames.reduce((sum, { payload }) => sum + payload.length + 24, 0)
      ensure(all <= stream.length, 'more frames than bytes')
      const { code } = verdict([FrameError], () => decodeFrames(stream, { maxFrameBytes: MAX_FRAME_BYTES }))
      ensure(code === (whole.midFrame ? 'HTX_TRUNCATED' : whole.code), 'decodeFrames says something else')
      return `${whole.frames.length} frames, ${code ?? 'whole'}`
    },
  }),

  'inspect-frame': () => ({
    seeds: frameSeeds,
    run(input, random) {
      const stream = random.chance(0.7) ? repairCrc(input) : input
      const { fields, bytes: taken, error } = inspectFrame(stream)
      ensure(taken <= stream.length && (taken > 0 || stream.length === 0), `${taken} of ${stream.length} bytes`)
      let shown = 0
      for (const field of fields) {
        ensure(field.offset >= 0 && field.offset + field.length <= stream.length, `field ${field.name} is outside`)
        shown += field.value.length + field.note.length
      }
      ensure(shown <= 4_096 + 64 * stream.length, 'a description without bound')
      const { code } = verdict([FrameError], () => decodeFrames(stream.subarray(0, taken), { maxFrameBytes: 65_536 }))
      ensure((code === undefined) === (error === undefined) || stream.length === 0, `${code} but ${error}`)
      return error ?? 'valid'
    },
  }),

  chunks: () => ({
    seeds: chunkSeeds,
    run(input, random) {
      const whole = new Notes()
      const split = new Notes()
      const { code } = verdict([ChunkError], () => readChunks(input, whole))
      const { code: splitCode } = verdict([ChunkError], () => readChunks(cut(random, input), split))
      ensure(code === splitCode, `${code} whole, ${splitCode} in pieces`)
      deepStrictEqual(split.events, whole.events)
      ensure(whole.bytes <= input.length, 'more bytes in chunks than came')
      return `${Math.min(whole.events.length, 20)} events, ${code ?? 'whole'}`
    },
  }),

  lz4: () => ({
    seeds: packed,
    run(input) {
      const out = lz4.decompress(input, MAX_DECOMPRESSED)
      const again = lz4.compress(input)
      if (again !== undefined) {
        ensure(again.length < input.length, 'a compressed block that is no smaller')
        deepStrictEqual(plain(lz4.decompress(again, input.length)), plain(input))
        ensure(lz4.decompress(again, input.length - 1) === undefined, 'the limit was not kept')
      }
      if (out === undefined) return 'refused'
      ensure(out.length <= MAX_DECOMPRESSED && out.length <= (input.length - 4) * 255, 'more than a block can hold')
      return `2^${Math.ceil(Math.log2(out.length + 1))} bytes`
    },
  }),

  'betanet-frame': () => ({
    seeds: betanetPayloads.map((payload, type) =>
      sealBetanetFrame({ type, streamId: 5, payload }, betanetAead, betanetNonce),
    ),
    run(input) {
      const { value: length } = verdict([BetanetError], () => betanetFrameLength(input))
      ensure(length === undefined || (length >= 26 && length <= 65_535), `a frame of ${length} bytes`)
      const { value, code } = verdict([BetanetError], () => openBetanetFrame(input, betanetAead, betanetNonce))
      return code ?? `type ${value.type}`
    },
  }),

  'betanet-payload': () => ({
    seeds: betanetPayloads,
    run(input) {
      const kinds = []
      for (const [decode, encode] of [
        [decodeBetanetStream, encodeBetanetStream],
        [decodeBetanetWindowUpdate, encodeBetanetWindowUpdate],
        [decodeBetanetPing, undefined],
        [decodeBetanetClose, undefined], // text that is no UTF-8 is shown, not kept
      ]) {
        const { value, code } = verdict([BetanetError], () => decode(input))
        if (value !== undefined && encode !== undefined) deepStrictEqual(plain(decode(encode(value))), plain(value))
        kinds.push(code === undefined ? 1 : 0)
      }
      return kinds.join('')
    },
  }),
}
