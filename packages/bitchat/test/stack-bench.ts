import { type TransportComponents, silentLogger } from '@aiv/transport-api'
import type { HciTransport } from '@aiv/ble-virtual'
import { generateIdentity, type Identity, nodeCrypto, secureChannels } from '@aiv/security'
import {
  bitchat,
  type BitchatOptions,
  type BitchatTransport,
  type DutyCycleOptions,
  type MeshOptions,
  type NobleBlenoOptions,
} from '../src/index.js'
import { plainRandom, radioOn, realClock } from './virtual-radios.js'

/** Shows itself and looks around as eagerly as BLE allows: a test is in real time. */
const dutyCycle: DutyCycleOptions = {
  levels: [
    { name: 'test', scanWindowMs: 1_000, scanIntervalMs: 1_000, advertiseIntervalMs: 20, announceIntervalMs: 5_000 },
  ],
  batteryLevels: [],
}
/** A chip that is never tired, and neighbours that allow it. */
const mesh: MeshOptions = { linkPacketsPerSecond: 5_000, linkBurst: 1_000 }

export interface StackNode {
  readonly identity: Identity
  readonly transport: BitchatTransport
}

/** A mesh transport on the real stacks, over a virtual controller. */
export function stackNode(
  virtual: HciTransport,
  options: Partial<BitchatOptions> = {},
  radio: NobleBlenoOptions = {},
): StackNode {
  const identity = generateIdentity(nodeCrypto)
  const components: TransportComponents = {
    identity,
    secure: secureChannels({ identity, clock: realClock }),
    clock: realClock,
    random: plainRandom,
    log: silentLogger,
    metrics: undefined,
  }
  const transport = bitchat({
    radio: radioOn(virtual, { windowPackets: 32, initiateTimeoutMs: 500, ...radio }),
    crypto: nodeCrypto,
    staticKey: (unixNow) => ({
      publicKey: identity.noiseStatic.publicKey,
      notAfter: Math.floor(unixNow / 1000) + 86_400,
    }),
    mesh,
    dutyCycle,
    ...options,
  })(components)
  return { identity, transport }
}
