// Every decoder that reads what somebody else wrote. A target has `seeds`, valid inputs, and `run(bytes, random)`, which
// throws when the decoder did something that its documentation does not allow, and else names what came of the input.
import { compatibleTargets } from './targets/bitchat-compatible.mjs'
import { codecTargets } from './targets/codec.mjs'
import { identityTargets } from './targets/identity.mjs'
import { meshTargets } from './targets/mesh.mjs'
import { nodeTargets } from './targets/node.mjs'
import { packetTargets } from './targets/packets.mjs'
import { sessionTargets } from './targets/session.mjs'

/** By name; each is a function, since some make keys first. */
const targets = {
  ...codecTargets,
  ...sessionTargets,
  ...packetTargets,
  ...identityTargets,
  ...nodeTargets,
  ...meshTargets,
  ...compatibleTargets,
}

export const targetNames = Object.keys(targets)

export async function loadTarget(name, random) {
  const target = targets[name]
  if (target === undefined) throw new Error(`there is no target ${name}`)
  return target(random)
}
