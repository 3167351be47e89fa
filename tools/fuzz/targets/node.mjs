import { encodeFrame } from '@aiv/htx-codec'
import { identityFromSeed, nodeCrypto, signPeerRecord } from '@aiv/security'
import { encodePing } from '@aiv/routing'
import { equalBytes, toHex } from '@aiv/transport-api'
import {
  FileReceiverCore,
  LineDecoder,
  decodeFileAnswer,
  decodeFileRequest,
  encodeAnswer,
  encodeCancel,
  encodeOffer,
  inspectBytes,
  inspectText,
  inspectionKinds,
  parseLocalRequest,
  parseLocalResponse,
  safeFileName,
  writeDataHeader,
} from '../../../packages/node/dist/internal.js'
import { codec, ensure } from '../expect.mjs'
import { cut } from '../mutate.mjs'

const NOW = 1_750_000_000_000
const text = (string) => new TextEncoder().encode(string)
const utf8 = new TextDecoder()
const bytes = (length, step = 7) => Uint8Array.from({ length }, (_, i) => i * step)

const offer = { transfer: bytes(8), id: bytes(16), size: 70_000, sha256: bytes(32), name: 'report.pdf' }
const data = new Uint8Array(117)
writeDataHeader(data, offer.transfer, 0)
const fileSeeds = [
  encodeOffer(offer),
  encodeOffer({ ...offer, size: 2 ** 50, name: '../../etc/passwd\u202e' }),
  data,
  encodeCancel(offer.transfer),
  encodeAnswer({ status: 'FILE_BUSY', have: 2 ** 40 }),
]

const encodeRequest = (request) => {
  if (request.type === 'offer') return encodeOffer(request)
  if (request.type === 'cancel') return encodeCancel(request.transfer)
  const out = new Uint8Array(17 + request.bytes.length)
  out.set(request.bytes, 17)
  writeDataHeader(out, request.transfer, request.offset)
  return out
}

/** Requests after one another, against a disk that does what it is told. */
function receiver() {
  const join = (...messages) => {
    const out = []
    for (const message of messages) out.push(message.length >>> 8, message.length & 0xff, ...message)
    return Uint8Array.from(out)
  }
  const small = encodeOffer({ ...offer, size: 100 })
  return {
    seeds: [join(small, data, small), join(small, encodeCancel(offer.transfer), data), join(...fileSeeds)],
    run(input) {
      const core = new FileReceiverCore({
        maxFileBytes: 200_000,
        maxTransfers: 3,
        maxTransfersPerNode: 2,
        maxPendingBytes: 1_000,
      })
      const open = new Map()
      let token = 0
      let answers = 0
      let ended = 0
      let now = 0
      const work = () => {
        for (let action; (action = core.pollAction()) !== undefined;) {
          if (action.type === 'answer') {
            answers++
            ensure(decodeFileAnswer(action.bytes) !== undefined, 'an answer that cannot be read')
          } else if (action.type === 'open') {
            ensure(!open.has(action.key), 'opened twice')
            open.set(action.key, { size: action.offer.size, have: 0 })
            core.handleOpened(now, action.key, 0)
          } else if (action.type === 'write') {
            const file = open.get(action.key)
            ensure(file !== undefined && file.have === action.offset, 'a write that is not the next one')
            file.have += action.bytes.length
            ensure(file.have <= file.size, 'more bytes than the file has')
            core.handleWritten(now, action.key)
          } else if (action.type === 'finish') {
            ensure(open.get(action.key)?.have === open.get(action.key)?.size, 'finished before its end')
            core.handleFinished(action.key)
          } else if (action.type === 'ended') {
            open.delete(action.key)
            ended++
          }
        }
      }
      for (let at = 0; at + 2 <= input.length;) {
        const length = (input[at] << 8) | input[at + 1]
        now += 100
        core.handleRequest(now, `${(input[at + 3] ?? 0) & 3}`.repeat(32), token++, input.slice(at + 2, at + 2 + length))
        work()
        ensure(core.transfers <= 3, 'too many transfers')
        at += 2 + length
      }
      core.handleTimeout(now + 1e9)
      work()
      core.handleClose()
      work()
      ensure(answers === token, `${answers} answers to ${token} requests`)
      return `${Math.min(token, 9)} requests, ${ended} ended`
    },
  }
}

const lines = [
  '{"id":1,"op":"status"}\n',
  '{"id":2,"op":"send","to":"x","payload":"aGk=","protocol":"chat/1","priority":2,"wait":true,"timeoutMs":5000}\n',
  '{"id":3,"op":"send-file","to":"x","path":"/tmp/f","priority":0}\n{"id":3,"ok":true,"result":{}}\n',
  '{"id":4,"ok":false,"error":{"code":"X","message":"y","retryable":false}}\n{"id":4,"event":1}\n',
]
const MAX_LINE = 300

const inspectSeeds = () => {
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(3))
  const record = signPeerRecord(
    identity,
    {
      deviceType: 'server',
      addresses: ['htx://192.0.2.1:8888'],
      relays: [],
      mailboxRelays: [],
      capabilities: new Uint8Array(0),
      signedPrekey: undefined,
      onionKey: undefined,
      nextKeyHash: undefined,
    },
    { now: NOW },
  )
  return [
    encodeFrame({ flags: 0, type: 0, sequence: 1, timestamp: 5, payload: Uint8Array.of(3, 5, 1, 2, 3, 4, 5) }),
    encodeFrame({ flags: 0, type: 9, sequence: 1, timestamp: 5, payload: text('\0\0bye') }),
    record.bytes,
    identity.certificate(NOW),
    encodePing({ type: 'ping', opaque: bytes(8) }),
    Uint8Array.of(0, 0, 23, 2, ...bytes(22)),
    bytes(32),
    bytes(16),
  ]
}

function checkInspection({ parts }, length) {
  ensure(parts.length > 0 && parts.length <= length + 1, `${parts.length} parts of ${length} bytes`)
  let shown = 0
  for (const part of parts) {
    ensure(part.offset >= 0 && part.length >= 0 && part.offset + part.length <= length, `${part.title} is outside`)
    for (const { offset, length: size, value, note } of part.fields) {
      ensure(offset >= 0 && size >= 0 && offset + size <= length, `a field of ${part.title} is outside`)
      shown += value.length + note.length
    }
  }
  ensure(shown <= 8_192 + 400 * length, `${shown} characters about ${length} bytes`)
  return parts[0].error?.code ?? parts[0].title
}

export const nodeTargets = {
  'file-request': codec({
    seeds: fileSeeds,
    decode: decodeFileRequest,
    encode: encodeRequest,
    kind: ({ type }) => type,
  }),
  'file-answer': codec({
    seeds: fileSeeds.slice(4),
    decode: decodeFileAnswer,
    encode: encodeAnswer,
    kind: ({ status }) => status,
  }),
  'file-name': () => ({
    seeds: [
      'report.pdf',
      '../..',
      'a/b\\c.txt',
      'con.txt',
      ' .hidden. ',
      `${'long '.repeat(60)}.tar.gz`,
      'ünï\u202ecode',
      '.',
    ].map(text),
    run(input) {
      const name = safeFileName(utf8.decode(input))
      ensure(name !== '' && Buffer.byteLength(name) <= 200, `"${name}" is empty or too long`)
      // eslint-disable-next-line no-control-regex
      ensure(!/[/\\<>:"|?*\u0000-\u001f\u202a-\u202e]/.test(name), `"${name}" has a character in it that it must not`)
      ensure(!/^[.\s]|[.\s]$/.test(name), `"${name}" begins or ends with a dot or a space`)
      ensure(!/^(con|prn|aux|nul|com\d|lpt\d)(\.|$)/i.test(name), `"${name}" is a device on Windows`)
      ensure(safeFileName(name) === name, `"${name}" becomes another name the second time`)
      return `${Math.ceil(name.length / 50) * 50} characters`
    },
  }),
  'file-receiver': receiver,
  'local-lines': () => ({
    seeds: [...lines.map(text), text(lines.join(''))],
    run(input, random) {
      const whole = new LineDecoder(MAX_LINE).decode(input)
      const decoder = new LineDecoder(MAX_LINE)
      const split = []
      let spent = false
      for (const piece of cut(random, input)) {
        const some = decoder.decode(piece)
        ensure(decoder.held <= MAX_LINE || some === undefined, 'holds more than a line')
        if (some === undefined) {
          spent = true
          break
        }
        split.push(...some)
      }
      ensure(spent === (whole === undefined), 'pieces make a difference')
      if (whole !== undefined) ensure(whole.join('\n') === split.join('\n'), 'other lines in pieces')
      const kinds = split.slice(0, 3).map((line) => {
        const request = parseLocalRequest(line)
        const response = parseLocalResponse(line)
        ensure(request === undefined || Number.isSafeInteger(request.id), 'a request without an id')
        return `${request?.op ?? '-'}${response === undefined ? '' : '+'}`
      })
      return spent ? 'too long' : kinds.join(' ')
    },
  }),
  inspect: () => ({
    seeds: inspectSeeds(),
    run(input, random) {
      const before = toHex(input)
      const as = random.chance(0.5) ? undefined : inspectionKinds[random.below(inspectionKinds.length)]
      const inspection = inspectBytes(input, { unixNow: NOW, ...(as === undefined ? {} : { as }) })
      ensure(toHex(input) === before, 'the input was changed')
      return `${as ?? 'found'} ${checkInspection(inspection, input.length)}`
    },
  }),
  'inspect-text': () => ({
    seeds: [
      'htx://00112233445566778899aabbccddeeff@192.0.2.7:8888',
      '48:58:11',
      '0x02ff',
      'zz',
      bytes(40).join(' '),
    ].map(text),
    run(input) {
      const { parts } = inspectText(utf8.decode(input), { unixNow: NOW })
      ensure(parts.length > 0, 'nothing to say')
      return parts[0].error?.code ?? parts[0].title
    },
  }),
  'hex-round-trip': () => ({
    seeds: [bytes(20)],
    run(input) {
      ensure(equalBytes(Buffer.from(toHex(input), 'hex'), input), 'hexadecimal of something else')
      return 'same'
    },
  }),
}
