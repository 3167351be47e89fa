import { type TransportComponents, silentLogger } from '@aiv/transport-api'
import { Identity, identityFromSeed, nodeCrypto, secureChannels } from '@aiv/security'
import { World } from '@aiv/testkit'
import {
  type BitchatOptions,
  type BitchatTransport,
  InMemoryAir,
  type InMemoryAirOptions,
  type InMemoryRadio,
  bitchat,
} from '../src/index.js'

export interface BenchNode {
  readonly name: string
  readonly identity: Identity
  readonly radio: InMemoryRadio
  readonly transport: BitchatTransport
}

/** Mesh transports over radios in memory, in virtual time. */
export class BitchatBench {
  readonly world: World
  readonly air: InMemoryAir
  readonly #options: Partial<BitchatOptions>

  constructor(seed: string, air: InMemoryAirOptions = {}, options: Partial<BitchatOptions> = {}) {
    this.world = new World({ seed })
    this.air = new InMemoryAir({ clock: this.world.clock('air'), random: this.world.random('air') }, air)
    this.#options = options
  }

  identity(name: string): Identity {
    return identityFromSeed(nodeCrypto, this.world.seedBytes(name, 32))
  }

  node(name: string, options: Partial<BitchatOptions> = {}): BenchNode {
    const identity = this.identity(name)
    const clock = this.world.clock(name)
    const components: TransportComponents = {
      identity,
      secure: secureChannels({ identity, clock }),
      clock,
      random: this.world.random(name),
      log: silentLogger,
      metrics: undefined,
    }
    const radio = this.air.radio(name)
    const transport = bitchat({
      radio,
      crypto: nodeCrypto,
      staticKey: (unixNow) => ({
        publicKey: identity.noiseStatic.publicKey,
        notAfter: Math.floor(unixNow / 1000) + 86_400,
      }),
      ...this.#options,
      ...options,
    })(components)
    return { name, identity, radio, transport }
  }
}
