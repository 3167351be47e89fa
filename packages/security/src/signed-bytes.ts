import { ArgumentError, type SignatureTag } from '@aiv/transport-api'

const utf8 = new TextEncoder()

/** Every tag that a node key signs under. A tag says what the bytes are, so that no signature serves for two things. */
const prefixes: Readonly<Record<SignatureTag, Uint8Array>> = {
  'aiv-noise-static/1': prefix('aiv-noise-static/1'),
  'aiv-peer/1': prefix('aiv-peer/1'),
  'aiv-prekeys/1': prefix('aiv-prekeys/1'),
  'aiv-envelope/1': prefix('aiv-envelope/1'),
  'aiv-mesh/1': prefix('aiv-mesh/1'),
  'aiv-route/1': prefix('aiv-route/1'),
  'aiv-succession/1': prefix('aiv-succession/1'),
}

/**
 * `tag ‖ 00 ‖ body`, the only thing that a node key signs: nobody can have it sign bytes of theirs.
 * @throws ArgumentError for another tag.
 */
export function signedBytes(tag: SignatureTag, body: Uint8Array): Uint8Array {
  if (!Object.hasOwn(prefixes, tag)) throw new ArgumentError(`"${String(tag)}" is no tag that a node key signs under`)
  const before = prefixes[tag]
  const out = new Uint8Array(before.length + body.length)
  out.set(before)
  out.set(body, before.length)
  return out
}

function prefix(tag: string): Uint8Array {
  return utf8.encode(`${tag}\0`)
}
