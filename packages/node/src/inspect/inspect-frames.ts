import { betanetFrameLength, BetanetError, BetanetType, inspectFrame } from '@aiv/htx-codec'
import { FieldReader, shownHex } from './field-reader.js'
import type { InspectedPart } from './inspection.js'

/** Frames that are shown; a long capture is cut after these. */
const MAX_FRAMES = 1000

const reasons: Readonly<Record<string, string>> = {
  HTX_BAD_MAGIC: 'it does not begin with "HX"',
  HTX_BAD_VERSION: 'its version is not 1.1',
  HTX_RESERVED_FLAGS: 'flags are set that 1.1 does not define',
  HTX_FRAME_TOO_LARGE: 'the whole frame would be larger than 65,536 bytes',
  HTX_BAD_CRC: 'the checksum does not fit the bytes: damaged on the way',
  HTX_TRUNCATED: 'the bytes end inside of the frame',
}

/** True when `bytes` is meant as HTX, even if a byte of its beginning is wrong. */
export function looksLikeHtx(bytes: Uint8Array): boolean {
  const magic = Number(bytes[0] === 0x48) + Number(bytes[1] === 0x58)
  return magic === 2 || (magic === 1 && bytes[2] === 0x11 && bytes.length >= 24)
}

/** One HTX frame after another, up to the first that is not valid: behind it the place of the next is not known. */
export function inspectHtx(bytes: Uint8Array): InspectedPart[] {
  const parts: InspectedPart[] = []
  for (let at = 0; at < bytes.length && parts.length < MAX_FRAMES;) {
    const { fields, bytes: length, error } = inspectFrame(bytes.subarray(at))
    parts.push({
      title: 'HTX 1.1 frame',
      offset: at,
      length,
      fields: fields.map((field) => ({ ...field, offset: at + field.offset })),
      ...(error === undefined ? {} : { error: { code: error, message: reasons[error] ?? 'not valid' } }),
    })
    if (error !== undefined || length === 0) break
    at += length
  }
  return parts
}

const betanetTypes = new Map<number, string>([
  [BetanetType.Stream, 'STREAM'],
  [BetanetType.WindowUpdate, 'WINDOW_UPDATE'],
  [BetanetType.Ping, 'PING'],
  [BetanetType.KeyUpdate, 'KEY_UPDATE'],
  [BetanetType.Close, 'CLOSE'],
  [BetanetType.PathControl, 'PATH_CONTROL'],
])

/** True when `bytes` is exactly a row of Betanet 1.2 frames: without a magic, the lengths adding up is all there is. */
export function looksLikeBetanet(bytes: Uint8Array): boolean {
  let at = 0
  while (at < bytes.length) {
    let length: number | undefined
    try {
      length = betanetFrameLength(bytes.subarray(at))
    } catch {
      return false
    }
    if (length === undefined || !betanetTypes.has(bytes[at + 3] ?? -1)) return false
    at += length
  }
  return at === bytes.length && at > 0
}

/** One Betanet 1.2 frame after another. They are sealed: their form is all that can be judged without the key. */
export function inspectBetanet(bytes: Uint8Array): InspectedPart[] {
  const parts: InspectedPart[] = []
  for (let at = 0; at < bytes.length && parts.length < MAX_FRAMES;) {
    const rest = bytes.subarray(at)
    let error: InspectedPart['error']
    let length = rest.length
    try {
      const whole = betanetFrameLength(rest)
      if (whole === undefined || whole > rest.length) {
        error = { code: 'BETANET_MALFORMED_FRAME', message: 'the bytes end inside of the frame' }
      } else length = whole
    } catch (thrown) {
      if (!(thrown instanceof BetanetError)) throw thrown
      error = { code: thrown.code, message: thrown.message }
    }
    const reader = new FieldReader(rest.subarray(0, length), at)
    reader.uint('length', 3, () => 'from type through tag')
    reader.u8('type', (type) => betanetTypes.get(type) ?? 'unknown')
    reader.uint('stream id', 4, (id) =>
      id === 0n ? 'the connection' : id % 2n === 1n ? "the client's" : "the server's",
    )
    reader.uint('aad', 2)
    if (error === undefined) {
      reader.bytes('ciphertext', reader.left - 16, { note: 'sealed: unreadable without the key' })
      reader.bytes('tag', 16)
    } else if (reader.left > 0) reader.bytes('rest', reader.left, { show: shownHex })
    parts.push({ title: 'Betanet 1.2 frame', offset: at, length, fields: reader.fields, ...(error && { error }) })
    if (error !== undefined) break
    at += length
  }
  return parts
}
