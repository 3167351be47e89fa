// How fast the codec is by itself, on frames and messages of the sizes that matter.
import { randomBytes } from 'node:crypto'
import {
  FrameDecoder,
  FrameFlag,
  FrameType,
  HEADER_BYTES,
  crc32,
  encodeFrame,
  lz4Compressor,
  portableCrc32,
  readChunks,
  writeChunkHeader,
  writeFrameHeader,
  writeFrameTrailer,
} from '@aiv/htx-codec'
import { Bench } from 'tinybench'

const GIB = 2 ** 30
const MILLION = 1e6
/** What one call of a task gets through, by its name. */
const tasks = []
let checked = 0

const add = (name, unit, perCall, run) => tasks.push({ name, unit, perCall, run })

function addFrames(payloadBytes) {
  const count = Math.max(1, Math.floor(65_536 / (payloadBytes + 24)))
  const payload = randomBytes(payloadBytes)
  const frame = encodeFrame({ flags: FrameFlag.Encrypted, type: FrameType.Data, sequence: 1, timestamp: 5, payload })
  const stream = new Uint8Array(frame.length * count)
  for (let i = 0; i < count; i++) stream.set(frame, i * frame.length)

  const decoder = new FrameDecoder({ maxFrameBytes: 65_536, crc32 })
  const sink = {
    onFrame: (_header, _headerBytes, bytes) => void (checked += bytes.length),
    onFrameStart: () => undefined,
    onFramePiece: (bytes) => void (checked += bytes.length),
    onFrameEnd: () => undefined,
  }
  add(`frame decode, ${payloadBytes} B`, 'GiB/s', stream.length / GIB, () => decoder.push(stream, sink))
  const cut = stream.length - frame.length / 2
  const [head, tail] = [stream.subarray(0, cut), stream.subarray(cut)]
  add(`frame decode, ${payloadBytes} B, last one split`, 'GiB/s', stream.length / GIB, () => {
    decoder.push(head, sink)
    decoder.push(tail, sink)
  })
  // in place, as the session does it: the payload is where it belongs already
  add(`frame encode, ${payloadBytes} B`, 'GiB/s', stream.length / GIB, () => {
    for (let i = 0, at = 0; i < count; i++, at += frame.length) {
      writeFrameHeader(stream, at, FrameFlag.Encrypted, payloadBytes, FrameType.Data, 1, 5)
      const end = at + HEADER_BYTES + payloadBytes
      writeFrameTrailer(stream, end, crc32(stream.subarray(at, end)))
    }
  })
}

function addChunks(messageBytes, pieces) {
  const payload = new Uint8Array(65_000)
  let at = 0
  let count = 0
  while (at + messageBytes + 24 <= payload.length) {
    at = writeChunkHeader(payload, at, { number: 100_000 + count, final: true, length: messageBytes }) + messageBytes
    count += 1
  }
  const size = Math.ceil(at / pieces)
  const parts = Array.from({ length: pieces }, (_, i) => payload.subarray(i * size, Math.min(at, (i + 1) * size)))
  const sink = {
    isOpen: () => false,
    onMessage: (_number, _bytes, start, end) => void (checked += end - start),
    onChunkStart: () => undefined,
    onChunkBytes: (bytes) => void (checked += bytes.length),
    onChunkEnd: () => undefined,
    onPadding: () => undefined,
  }
  const name = `chunk decode, ${messageBytes} B messages${pieces > 1 ? `, ${pieces} pieces` : ''}`
  add(name, 'M/s', count / MILLION, () => readChunks(parts, sink))
}

function addCrc(bytes) {
  const input = randomBytes(bytes)
  add(`crc32, ${bytes} B`, 'GiB/s', bytes / GIB, () => void (checked += crc32(input)))
  add(`crc32 in JavaScript, ${bytes} B`, 'GiB/s', bytes / GIB, () => void (checked += portableCrc32(input)))
}

function addLz4(name, input) {
  const compressor = lz4Compressor()
  const packed = compressor.compress(input)
  add(`lz4 compress, ${name}`, 'GiB/s', input.length / GIB, () => compressor.compress(input))
  if (packed === undefined) return
  const ratio = `${((100 * packed.length) / input.length).toFixed(0)} % left`
  add(`lz4 decompress, ${name}, ${ratio}`, 'GiB/s', input.length / GIB, () =>
    compressor.decompress(packed, input.length),
  )
}

/** Every figure as `{ name, value, unit }`; higher is better. Takes about ten seconds. */
export default async function codec() {
  tasks.length = 0
  for (const bytes of [64, 256, 1200, 65_512]) addFrames(bytes)
  addChunks(256, 1)
  addChunks(256, 4)
  addChunks(16, 1)
  for (const bytes of [64, 1200, 65_536]) addCrc(bytes)
  const records = Array.from({ length: 900 }, (_, i) => ({
    id: `${(i * 2_654_435_761) >>> 0}`,
    sequence: i,
    load: i % 7,
  }))
  const json = new TextEncoder().encode(JSON.stringify(records)).subarray(0, 32_768)
  addLz4('32 KiB of JSON', json)
  addLz4('1 KiB of JSON', json.subarray(0, 1024))
  addLz4('64 KiB of noise', new Uint8Array(randomBytes(65_536)))

  const bench = new Bench({ time: 200, warmupTime: 100 })
  for (const { name, run } of tasks) bench.add(name, run)
  await bench.run()
  return tasks.map(({ name, unit, perCall }) => {
    const { result } = bench.getTask(name)
    if (result?.latency === undefined) throw new Error(`${name}: ${result?.error ?? result?.state}`)
    // the median call, as a mean would count the pauses of a busy machine
    return { name, unit, value: (perCall * 1000) / result.latency.p50 }
  })
}
