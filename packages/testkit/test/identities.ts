import {
  type LocalIdentity,
  type SecureChannels,
  type TransportComponents,
  nodeIdFromBytes,
  silentLogger,
} from '@aiv/transport-api'
import { SeededRandom, type World } from '../src/index.js'

/** An identity for tests in which nothing is signed: 32 bytes that are no key, and the id that they stand for. */
export function paperIdentity(name: string): LocalIdentity {
  const publicKey = new SeededRandom(`identity ${name}`).bytes(32)
  const never = (): never => {
    throw new Error('a paper identity signs nothing')
  }
  return { nodeId: nodeIdFromBytes(publicKey.slice(0, 16)), publicKey, sign: never, privateKeyPkcs8: never }
}

const noChannels: SecureChannels = {
  suites: [],
  start() {
    throw new Error('a memory transport makes no handshakes')
  },
}

/** What a memory transport is given; it looks at the identity and the clock only. */
export function components(world: World, name: string): TransportComponents {
  return {
    identity: paperIdentity(name),
    secure: noChannels,
    clock: world.clock(name),
    random: world.random(name),
    log: silentLogger,
    metrics: undefined,
  }
}
