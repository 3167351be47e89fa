import { memoryNetwork, type Impairment, type MemoryNetwork, type MemoryOptions, type World } from '@aiv/testkit'
import { identityFromSeed, nodeCrypto, seededCrypto, type Identity } from '@aiv/security'
import { createNode, type AivNode, type NodeOptions } from '../src/index.js'

/** Two ways between the same nodes, the first one preferred. */
export interface Ways {
  readonly first: MemoryNetwork
  readonly second: MemoryNetwork
}

export function ways(world: World, impairment: Impairment = { delayMs: 5 }): Ways {
  return {
    first: memoryNetwork(world, { impairment }),
    second: memoryNetwork(world, { scheme: 'alt', impairment }),
  }
}

export function identity(world: World, name: string): Identity {
  return identityFromSeed(seededCrypto(nodeCrypto, world.random(`${name} crypto`)), world.seedBytes(name, 32))
}

export type Overrides = Partial<NodeOptions> & { readonly memory?: MemoryOptions; readonly onlyFirst?: boolean }

/** A real node whose time, chance and networks are the world's. */
export async function nodeIn(
  world: World,
  { first, second }: Ways,
  name: string,
  overrides: Overrides = {},
): Promise<AivNode> {
  const { memory = {}, onlyFirst = false, ...options } = overrides
  return createNode({
    identity: identity(world, name),
    transports: [
      first.memory({ name: 'first', ...memory }),
      ...(onlyFirst ? [] : [second.memory({ name: 'second', ...memory })]),
    ],
    clock: world.clock(name),
    random: world.random(name),
    ...options,
  })
}
