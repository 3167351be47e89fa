import { randomBytes } from 'node:crypto'
import { TestClock } from '@aiv/testkit'
import { type LocalIdentity, silentLogger, type TransportComponents } from '@aiv/transport-api'
import { createIdentity, secureChannels } from '@aiv/security'

export interface TestNode {
  readonly components: TransportComponents & { readonly identity: LocalIdentity }
  readonly clock: TestClock
  /** X25519, as a peer record would name it. */
  readonly noiseKey: Uint8Array
}

export async function testNode(clock = new TestClock()): Promise<TestNode> {
  const identity = await createIdentity()
  return {
    clock,
    noiseKey: identity.noiseStatic.publicKey,
    components: {
      identity,
      secure: secureChannels({ identity, clock }),
      clock,
      random: { bytes: (length) => randomBytes(length), uniform: () => Math.random() },
      log: silentLogger,
      metrics: undefined,
    },
  }
}
