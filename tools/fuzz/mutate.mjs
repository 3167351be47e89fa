// Inputs for the fuzzer: valid ones, bent. Everything comes from one seeded source, so that a seed plays the same inputs
// again.

/** Numbers that lengths and counters go wrong at. */
const edges = [0, 1, 2, 15, 16, 63, 64, 127, 128, 255, 256, 1_023, 1_024, 4_096, 16_383, 16_384, 65_535, 65_536]
const largeEdges = [0xffffff, 0x3fffffff, 0x40000000, 0x7fffffff, 0x80000000, 0xffffffff]
const interestingBytes = [0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xfe, 0xff]

/** Longest input that is made; larger ones find nothing more and take long. */
export const MAX_INPUT_BYTES = 8_192

/** One input: an element of the corpus with one to six changes, seldom anything else. */
export function makeInput(random, corpus) {
  const roll = random.below(40)
  if (roll === 0) return random.bytes(random.below(300))
  const base = pick(random, corpus)
  // now and then what is valid goes in as it is, so that the way for good inputs is walked as well
  if (roll === 1) return base.slice()
  let bytes = base
  for (let changes = 1 + random.below(roll < 20 ? 2 : 6); changes > 0; changes--) bytes = change(random, bytes, corpus)
  return bytes.length > MAX_INPUT_BYTES ? bytes.slice(0, MAX_INPUT_BYTES) : bytes
}

function change(random, bytes, corpus) {
  const length = bytes.length
  if (length === 0) return random.bytes(1 + random.below(16))
  const at = random.below(length)
  switch (random.below(11)) {
    case 0:
      return withByte(bytes, at, bytes[at] ^ (1 << random.below(8)))
    case 1:
      return withByte(bytes, at, pick(random, interestingBytes))
    case 2:
      return withByte(bytes, at, random.below(256))
    case 3: // cut off
      return bytes.slice(0, at)
    case 4: // put in
      return join(bytes.subarray(0, at), random.bytes(1 + random.below(8)), bytes.subarray(at))
    case 5: // leave out
      return join(bytes.subarray(0, at), bytes.subarray(Math.min(length, at + 1 + random.below(16))))
    case 6: // twice
      return join(bytes.subarray(0, at), bytes.subarray(at, at + 1 + random.below(64)), bytes.subarray(at))
    case 7: {
      // spliced with another one
      const other = pick(random, corpus)
      return join(bytes.subarray(0, at), other.subarray(random.below(other.length + 1)))
    }
    case 8:
    case 9:
      return withNumber(random, bytes, at)
    default: {
      // two parts change places
      const end = Math.min(length, at + 1 + random.below(32))
      return join(bytes.subarray(at, end), bytes.subarray(0, at), bytes.subarray(end))
    }
  }
}

/** A number of 1 to 8 bytes, or a varint, that is where lengths stand: an edge, or near to what there is. */
function withNumber(random, bytes, at) {
  const width = pick(random, [1, 2, 3, 4, 8])
  const out = bytes.slice()
  let value = pick(random, random.chance(0.3) ? largeEdges : edges)
  if (random.chance(0.3)) value = Math.max(0, bytes.length - at - random.below(8))
  value += random.below(3) - 1
  if (value < 0) value = 0xffffffff
  for (let i = 0; i < width && at + i < out.length; i++) {
    const shift = (width - 1 - i) * 8
    out[at + i] = shift >= 32 ? (random.chance(0.5) ? 0xff : 0) : value >>> shift
  }
  // the two upper bits make a varint of it, as long as the number
  if (random.chance(0.3)) out[at] = (out[at] & 0x3f) | ([0, 0, 0x40, 0, 0x80, 0, 0, 0, 0xc0][width] ?? 0)
  return out
}

function withByte(bytes, at, value) {
  const out = bytes.slice()
  out[at] = value
  return out
}

function join(...parts) {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

export function pick(random, list) {
  return list[random.below(list.length)]
}

/** `bytes` in pieces, cut anywhere. */
export function cut(random, bytes) {
  const pieces = []
  const most = random.chance(0.2) ? 3 : 1 + random.below(bytes.length + 1)
  for (let at = 0; at < bytes.length;) {
    const next = Math.min(bytes.length, at + 1 + random.below(most))
    pieces.push(bytes.subarray(at, next))
    at = next
  }
  return pieces
}
