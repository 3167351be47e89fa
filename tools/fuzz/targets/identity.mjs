import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  KeyFileError,
  PeerRecordError,
  identityFromSeed,
  loadIdentity,
  nodeCrypto,
  nodeIdOf,
  saveIdentity,
  signPeerRecord,
  verifyCertificate,
  verifyPeerRecord,
} from '@aiv/security'
import {
  ArgumentError,
  decodePeerRecord,
  encodePeerRecordBody,
  formatAddress,
  fromHex,
  joinBytes,
  nodeIdFromBytes,
  parseAddress,
  parseNodeId,
  toHex,
} from '@aiv/transport-api'
import { deepStrictEqual } from 'node:assert'
import { ensure, plain, verdict } from '../expect.mjs'

const text = (string) => new TextEncoder().encode(string)
const utf8 = new TextDecoder()
const NOW = 1_750_000_000_000
const someId = '00112233445566778899aabbccddeeff'

const addresses = [
  `htx://${someId}@192.0.2.7:8888`,
  'htx://[2001:db8::1]:8888',
  'wss://node.example.org/aiv/ws?a=b',
  'htx://[fe80::1%25eth0]:1',
  `mem://${someId}`,
  'ws://localhost',
]

/** A folder in memory where there is one: a file is written for each input. */
const tempFolder = () => {
  for (const base of ['/dev/shm', tmpdir()]) {
    try {
      return mkdtempSync(join(base, 'aiv-fuzz-'))
    } catch {
      continue
    }
  }
  throw new Error('no folder for temporary files')
}

const records = () => {
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(3))
  const small = { deviceType: 'mobile', addresses: [], relays: [], mailboxRelays: [], capabilities: new Uint8Array(0) }
  const none = { signedPrekey: undefined, onionKey: undefined, nextKeyHash: undefined }
  const full = {
    deviceType: 'server',
    addresses: addresses.slice(0, 3),
    relays: [someId],
    mailboxRelays: [someId, someId],
    capabilities: Uint8Array.of(1, 2),
    signedPrekey: new Uint8Array(100),
    onionKey: new Uint8Array(32).fill(9),
    nextKeyHash: new Uint8Array(32),
  }
  return [{ ...small, ...none }, full].map((fields) => signPeerRecord(identity, fields, { now: NOW }).bytes)
}

/** Mutates the text of a key file; `passphrase` makes the way through Argon2id, at its lowest cost. */
const keyFile = (passphrase) => async () => {
  const folder = tempFolder()
  const path = join(folder, 'identity.json')
  const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(5))
  identity.rotateNoiseKey(NOW)
  await saveIdentity(path, identity, { passphrase, cost: { passes: 1, memoryBytes: 8_192 } })
  const seed = new Uint8Array(await readFile(path))
  return {
    seeds: [seed],
    async run(input) {
      // what asks for much memory is allowed to and is tested elsewhere; here it would only take long
      if (passphrase !== undefined && /"(passes|memoryBytes)":(?! *(1|8192),)/.test(utf8.decode(input))) return 'dearer'
      writeFileSync(path, input, { mode: 0o600 })
      try {
        const loaded = await loadIdentity(path, { passphrase, unixNow: NOW })
        // the id and the public key stand there as well: nobody else can come out of it
        ensure(loaded.nodeId === identity.nodeId || passphrase === undefined, 'another identity')
        return 'loaded'
      } catch (error) {
        if (!(error instanceof KeyFileError)) throw error
        return error.code
      }
    },
    close: () => rmSync(folder, { recursive: true }),
  }
}

export const identityTargets = {
  'peer-record': () => {
    const seeds = records()
    const valid = new Set(seeds.map(toHex))
    return {
      seeds,
      run(input) {
        const before = toHex(input)
        const decoded = decodePeerRecord(input)
        const verified = verifyPeerRecord(nodeCrypto, input, NOW)
        ensure(toHex(input) === before, 'the decoder changed its input')
        if (decoded === undefined) {
          ensure(
            verified instanceof PeerRecordError && verified.code === 'RECORD_MALFORMED',
            'believed, though it is none',
          )
          return 'refused'
        }
        ensure(input.length <= 960, 'a record over 960 bytes')
        ensure(toHex(joinBytes([decoded.body, decoded.signature])) === before, 'body and signature are not all of it')
        if (verified instanceof PeerRecordError) return verified.code
        ensure(valid.has(before), 'a changed record is believed')
        const again = decodePeerRecord(joinBytes([encodePeerRecordBody(verified), decoded.signature]))
        deepStrictEqual(plain(again.record), plain(verified))
        return 'believed'
      },
    }
  },

  certificate: () => {
    const identity = identityFromSeed(nodeCrypto, new Uint8Array(32).fill(3))
    const seed = identity.certificate(NOW)
    const noiseKey = identity.noiseStatic.publicKey
    return {
      seeds: [seed],
      run(input) {
        const answer = verifyCertificate(nodeCrypto, input, noiseKey, NOW)
        if (typeof answer === 'string') return answer
        ensure(toHex(input) === toHex(seed), 'a changed certificate is believed')
        ensure(nodeIdOf(nodeCrypto, answer.publicKey) === identity.nodeId, 'of another node')
        return 'believed'
      },
    }
  },

  address: () => ({
    seeds: addresses.map(text),
    run(input) {
      const { value, code } = verdict([ArgumentError], () => parseAddress(utf8.decode(input)))
      if (code !== undefined) return code
      const written = formatAddress(value)
      deepStrictEqual(parseAddress(written), value)
      ensure(formatAddress(parseAddress(written)) === written, 'written otherwise the second time')
      return `${value.scheme.length > 3 ? 'other' : value.scheme} ${value.nodeId !== undefined} ${value.port !== undefined}`
    },
  }),

  'node-id': () => ({
    seeds: [text(someId), fromHex(someId)],
    run(input) {
      const fromText = verdict([ArgumentError], () => parseNodeId(utf8.decode(input)))
      const fromBytes = verdict([ArgumentError], () => nodeIdFromBytes(input))
      const hex = verdict([ArgumentError], () => fromHex(utf8.decode(input)))
      ensure((fromBytes.code === undefined) === (input.length === 16), 'a node id has 16 bytes')
      if (fromText.value !== undefined) ensure(toHex(fromHex(fromText.value)) === fromText.value, 'a node id changed')
      if (hex.value !== undefined)
        ensure(hex.value.length * 2 === utf8.decode(input).length, 'hexadecimal of another length')
      return `${fromText.code ?? 'text'} ${fromBytes.code ?? 'bytes'}`
    },
  }),

  'key-file': keyFile(undefined),
  'key-file-sealed': keyFile('correct horse'),
}
