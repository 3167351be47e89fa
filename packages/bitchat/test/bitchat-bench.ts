import {
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type Path,
  Priority,
  type SendOptions,
  type TransportComponents,
  type TransportHost,
  silentLogger,
} from '@aiv/transport-api'
import { type Identity, identityFromSeed, nodeCrypto, secureChannels } from '@aiv/security'
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

  /** A node that is on, with its host. */
  async start(name: string, options: Partial<BitchatOptions> = {}): Promise<BenchNode & { readonly host: Host }> {
    const node = this.node(name, options)
    const host = new Host()
    await node.transport.start(host)
    return { ...node, host }
  }

  /** A connection, once there is one, and what comes over it. */
  async dial(from: BenchNode, to: BenchNode): Promise<{ readonly connection: Connection; readonly inbox: Inbox }> {
    const dialled = from.transport.dial(`ble://${to.identity.nodeId}`, { expected: to.identity.nodeId })
    const connection = await this.world.settled(dialled)
    const inbox = new Inbox()
    connection.attach(inbox)
    return { connection, inbox }
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

/** Keeps what a connection is told. */
export class Inbox implements ConnectionHandler {
  readonly packets: Uint8Array[] = []
  readonly liveness: string[] = []
  readonly hops: number[] = []
  closed: CloseReason | undefined

  get texts(): string[] {
    return this.packets.map((bytes) => new TextDecoder().decode(bytes))
  }

  onPacket(bytes: Uint8Array): void {
    this.packets.push(bytes)
  }

  onDrain(): void {
    // these tests send little
  }

  onLiveness(state: 'alive' | 'suspect'): void {
    this.liveness.push(state)
  }

  onPath(path: Path): void {
    this.hops.push(path.hops)
  }

  onClosed(reason: CloseReason): void {
    this.closed = reason
  }
}

/** Takes every connection. */
export class Host implements TransportHost {
  readonly accepted: { readonly connection: Connection; readonly inbox: Inbox }[] = []

  admit(): boolean {
    return true
  }

  onConnection(connection: Connection): void {
    const inbox = new Inbox()
    connection.attach(inbox)
    this.accepted.push({ connection, inbox })
  }

  onListening(): void {
    // the address follows from the identity
  }

  onDown(error: Error): void {
    throw error
  }
}

export function text(words: string): Uint8Array {
  return new TextEncoder().encode(words)
}

export const normal: SendOptions = { priority: Priority.Normal, delivery: 'reliable' }
