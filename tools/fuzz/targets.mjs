// Every decoder that reads what somebody else wrote. A target has `seeds`, valid inputs, and `run(bytes, random)`, which
// throws when the decoder did something that its documentation does not allow, and else names what came of the input.
import { compatibleTargets } from './targets/bitchat-compatible.mjs'
import { codecTargets } from './targets/codec.mjs'
import { identityTargets } from './targets/identity.mjs'
import { meshTargets } from './targets/mesh.mjs'
import { nodeTargets } from './targets/node.mjs'
import { packetTargets } from './targets/packets.mjs'
import { sessionTargets } from './targets/session.mjs'

/** By name; each is a function, since some make keys first. Those that take longest come first. */
const targets = {
  ...sessionTargets,
  ...meshTargets,
  ...compatibleTargets,
  ...codecTargets,
  ...packetTargets,
  ...identityTargets,
  ...nodeTargets,
}

/** Targets that get fewer inputs: a key file is our own, on our own disk, and that disk is most of the time. */
export const shares = { 'key-file': 0.1, 'key-file-sealed': 0.1 }

export const targetNames = Object.keys(targets)

export async function loadTarget(name, random) {
  const target = targets[name]
  if (target === undefined) throw new Error(`there is no target ${name}`)
  return target(random)
}
