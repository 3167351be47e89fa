import {
  AivError,
  DialError,
  formatAddress,
  parseAddress,
  type Connection,
  type DialOptions,
  type Logger,
  type NodeId,
  type Transport,
  type TransportComponents,
  type TransportFactory,
} from '@aiv/transport-api'

/** How a transport is doing. */
export interface TransportStatus {
  readonly name: string
  readonly state: 'up' | 'failed' | 'closed'
  /** With our own id in them. */
  readonly addresses: readonly string[]
  /** Why it failed or went down. */
  readonly error: AivError | Error | undefined
}

export interface TransportManagerHost {
  readonly id: NodeId
  readonly log: Logger
  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean
  onConnection(connection: Connection): void
  onAddresses(): void
  onDown(name: string, error: AivError | Error): void
}

class Registered {
  state: TransportStatus['state'] = 'closed'
  addresses: readonly string[] = []
  error: AivError | Error | undefined

  constructor(readonly transport: Transport) {}
}

/** The transports of a node in the order of preference, and how each one is doing. */
export class TransportManager {
  readonly #host: TransportManagerHost
  readonly #all: Registered[]

  constructor(host: TransportManagerHost, factories: readonly TransportFactory[], components: TransportComponents) {
    this.#host = host
    this.#all = factories.map((factory) => new Registered(factory(components)))
  }

  /** Starts all of them. One that cannot start is `failed` with its reason, and the others run. */
  async start(signal: AbortSignal | undefined): Promise<void> {
    await Promise.all(this.#all.map((registered) => this.#start(registered, signal)))
  }

  async #start(registered: Registered, signal: AbortSignal | undefined): Promise<void> {
    const { transport } = registered
    try {
      await transport.start(
        {
          admit: (from) => this.#host.admit(from),
          onConnection: (connection) => this.#host.onConnection(connection),
          onListening: (addresses) => {
            registered.addresses = addresses.map((text) =>
              formatAddress({ ...parseAddress(text), nodeId: this.#host.id }),
            )
            this.#host.onAddresses()
          },
          onDown: (error) => {
            registered.state = 'failed'
            registered.error = error
            registered.addresses = []
            this.#host.onAddresses()
            this.#host.onDown(transport.name, error)
          },
        },
        signal === undefined ? {} : { signal },
      )
      registered.state = 'up'
    } catch (error) {
      registered.state = 'failed'
      registered.error = error instanceof Error ? error : new AivError('TRANSPORT_UNAVAILABLE', String(error))
      registered.addresses = []
      this.#host.log.warn('transport failed to start', { transport: transport.name, error: registered.error })
    }
  }

  get statuses(): readonly TransportStatus[] {
    return this.#all.map(({ transport, state, addresses, error }) => ({
      name: transport.name,
      state,
      addresses,
      error,
    }))
  }

  get addresses(): readonly string[] {
    return this.#all.flatMap(({ addresses }) => addresses)
  }

  /** Place in the order of preference, 0 first; what is unknown comes last. */
  rank(name: string): number {
    const index = this.#all.findIndex(({ transport }) => transport.name === name)
    return index < 0 ? this.#all.length : index
  }

  /** The transport that dials addresses of this scheme, if it is up. */
  forScheme(scheme: string): Transport | undefined {
    return this.#all.find(({ transport, state }) => state === 'up' && transport.schemes.includes(scheme))?.transport
  }

  /** @throws DialError ADDRESS_UNSUPPORTED, and what the transport's own dial rejects with. */
  dial(address: string, options: DialOptions): Promise<Connection> {
    const { scheme } = parseAddress(address)
    const transport = this.forScheme(scheme)
    if (transport === undefined) {
      return Promise.reject(new DialError('ADDRESS_UNSUPPORTED', `no transport that is up dials ${scheme}://`))
    }
    return transport.dial(address, options)
  }

  networkChanged(): void {
    for (const { transport, state } of this.#all) if (state === 'up') transport.networkChanged()
  }

  /** Closes the transports of this name with their listeners and connections. False when there is none. */
  async closeTransport(name: string): Promise<boolean> {
    const matching = this.#all.filter(({ transport }) => transport.name === name)
    await Promise.all(matching.map((registered) => this.#close(registered)))
    return matching.length > 0
  }

  async close(): Promise<void> {
    await Promise.all(this.#all.map((registered) => this.#close(registered)))
  }

  async #close(registered: Registered): Promise<void> {
    if (registered.state === 'up') registered.state = 'closed'
    if (registered.addresses.length > 0) {
      registered.addresses = []
      this.#host.onAddresses()
    }
    await registered.transport.close()
  }
}
