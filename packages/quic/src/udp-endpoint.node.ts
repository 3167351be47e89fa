import type { RemoteInfo } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { AddressTokens } from './address-token.node.js'
import { PacketHeader } from './packet-header.js'
import type { PacketEngine, PacketEngineConfig, PacketPath, StrangerPacket } from './packet-engine.js'
import type { QuicEndpoint, QuicEndpointHandler, QuicEndpointSettings, QuicSession, UdpAddress } from './quic-engine.js'
import { SendSlots } from './send-slots.js'
import { sourcePrefix } from './source-prefix.js'
import { UdpSession, type UdpSessionHost } from './udp-session.node.js'
import { UdpSocket } from './udp-socket.node.js'
import { UnvalidatedPeers } from './unvalidated-peers.js'

/** Length of our connection ids. */
const ID_BYTES = 16
const TICKET_KEY_BYTES = 48
/** A client's first datagram is never smaller; smaller ones are not answered (RFC 9000 section 14.1). */
const MIN_INITIAL_BYTES = 1200

/**
 * Sockets, demultiplexing and the end of every turn: datagrams go to their session as they come, and once the turn's
 * datagrams are in, every session that got some is looked at and answers in one burst.
 */
export class UdpEndpoint implements QuicEndpoint, UdpSessionHost {
  readonly settings: QuicEndpointSettings
  readonly slots: SendSlots
  readonly #engine: PacketEngine
  readonly #handler: QuicEndpointHandler
  readonly #clientConfig: PacketEngineConfig
  #serverConfig: PacketEngineConfig
  readonly #tokens: AddressTokens
  readonly #unvalidated: UnvalidatedPeers<UdpSession>
  readonly #header = new PacketHeader()
  readonly #sessions = new Set<UdpSession>()
  /** Accepted sessions by every connection id that may arrive for them. */
  readonly #byId = new Map<string, UdpSession>()
  #listener: UdpSocket | undefined
  /** Random bytes for connection ids, and how many of them are used. */
  #ids: Uint8Array = new Uint8Array(0)
  #idsTaken = 0
  #dirty: UdpSession[] = []
  #turnScheduled = false
  #closed = false

  private constructor(engine: PacketEngine, settings: QuicEndpointSettings, handler: QuicEndpointHandler) {
    this.settings = settings
    this.slots = new SendSlots(settings.limits.maxUdpPayloadBytes)
    this.#engine = engine
    this.#handler = handler
    this.#tokens = new AddressTokens(settings.random.bytes(32))
    this.#unvalidated = new UnvalidatedPeers(settings.limits.unvalidated)
    this.#clientConfig = this.#configure(undefined)
    this.#serverConfig = this.#configure(settings.random.bytes(TICKET_KEY_BYTES))
  }

  static async open(
    engine: PacketEngine,
    settings: QuicEndpointSettings,
    handler: QuicEndpointHandler,
  ): Promise<UdpEndpoint> {
    const endpoint = new UdpEndpoint(engine, settings, handler)
    const { listen } = settings
    if (listen !== undefined) {
      const { host: name } = listen
      const host = name === undefined || isIP(name) !== 0 ? name : (await lookup(name)).address
      endpoint.#listener = await UdpSocket.bind({ host, port: listen.port }, endpoint.slots, {
        onDatagram: (bytes, from) => endpoint.#onDatagram(bytes, from),
        onError: (error) => endpoint.#onListenerError(error),
      })
    }
    return endpoint
  }

  get local(): UdpAddress | undefined {
    return this.#listener?.local
  }

  async connect(to: UdpAddress, ticket: Uint8Array | undefined): Promise<QuicSession> {
    const host = isIP(to.host) === 0 ? (await lookup(to.host)).address : to.host
    const remote = Object.freeze({ host, port: to.port })
    return UdpSession.connect(this, remote, (id, local) => this.#clientConfig.connect(id, local, remote, ticket))
  }

  renewTicketKey(): void {
    this.#serverConfig = this.#configure(this.settings.random.bytes(TICKET_KEY_BYTES))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    const sockets = [...this.#sessions].map((session) => session.destroy())
    await Promise.all([...sockets, this.#listener?.close()])
  }

  #configure(ticketKey: Uint8Array | undefined): PacketEngineConfig {
    const { credentials, limits, alpn } = this.settings
    return this.#engine.configure({ credentials, limits, alpn, ticketKey })
  }

  // What sessions ask of their endpoint

  newId(): Uint8Array {
    // Asking for chance costs the same for one id and for many
    if (this.#idsTaken === this.#ids.length) {
      this.#ids = this.settings.random.bytes(64 * ID_BYTES)
      this.#idsTaken = 0
    }
    this.#idsTaken += ID_BYTES
    return this.#ids.slice(this.#idsTaken - ID_BYTES, this.#idsTaken)
  }

  addSession(session: UdpSession): void {
    this.#sessions.add(session)
    if (this.#closed) void session.destroy()
  }

  addId(id: Uint8Array, session: UdpSession): void {
    this.#byId.set(key(id, 0, id.length), session)
  }

  removeId(id: Uint8Array): void {
    this.#byId.delete(key(id, 0, id.length))
  }

  onValidated(session: UdpSession): void {
    this.#unvalidated.remove(sourcePrefix(session.firstRemote.host), session)
  }

  onGone(session: UdpSession): void {
    this.onValidated(session)
    this.#sessions.delete(session)
  }

  /** Has it looked at when the datagrams of this turn are in. */
  schedule(session: UdpSession): void {
    this.#dirty.push(session)
    if (this.#turnScheduled) return
    this.#turnScheduled = true
    setImmediate(this.#turn)
  }

  readonly #turn = (): void => {
    const dirty = this.#dirty
    this.#dirty = []
    this.#turnScheduled = false
    for (const session of dirty) session.run()
  }

  #onListenerError(error: NodeJS.ErrnoException): void {
    // Linux tells of single destinations that cannot be reached in this way; the socket itself is well
    if (error.syscall === 'recvmsg' || error.syscall === 'send') return
    void this.close()
    this.#handler.onDown(error)
  }

  #onDatagram(bytes: Uint8Array, from: RemoteInfo): void {
    const listener = this.#listener
    const header = this.#header
    if (listener === undefined || this.#closed || !header.read(bytes, ID_BYTES)) return
    const session = this.#byId.get(key(bytes, header.destinationStart, header.destinationEnd))
    if (session !== undefined) return session.receive(bytes, from.address, from.port)
    if (header.type === 'short' || bytes.length < MIN_INITIAL_BYTES) return
    this.#onStranger(listener, bytes, { host: from.address, port: from.port })
  }

  /** A long header that belongs to nobody. Nothing is kept unless a session comes of it. */
  #onStranger(listener: UdpSocket, bytes: Uint8Array, from: UdpAddress): void {
    const header = this.#header
    const packet: StrangerPacket = {
      version: header.version,
      destinationId: bytes.subarray(header.destinationStart, header.destinationEnd),
      sourceId: bytes.subarray(header.sourceStart, header.sourceEnd),
    }
    if (!this.#engine.supportsVersion(packet.version)) {
      if (packet.version === 0) return
      return reply(listener, from, (out) => this.#engine.writeVersionNegotiation(out, packet))
    }
    if (header.type !== 'initial' || packet.destinationId.length < 8) return
    const { clock } = this.settings
    const token = bytes.subarray(header.tokenStart, header.tokenEnd)
    const originalId =
      token.length === 0 ? undefined : this.#tokens.verify(clock.unixNow(), from, token, packet.destinationId)
    if (!this.#handler.admit(from)) return
    const answer = this.#unvalidated.ask(clock.now(), sourcePrefix(from.host), originalId !== undefined)
    if (answer.verdict === 'drop') return
    if (answer.verdict === 'retry') {
      const newId = this.newId()
      const fresh = this.#tokens.issue(clock.unixNow(), from, packet.destinationId, newId)
      return reply(listener, from, (out) => this.#engine.writeRetry(out, packet, newId, fresh))
    }
    this.#accept(listener, bytes, Object.freeze(from), packet, originalId, answer.evicted)
  }

  #accept(
    listener: UdpSocket,
    bytes: Uint8Array,
    remote: UdpAddress,
    packet: StrangerPacket,
    originalId: Uint8Array | undefined,
    evicted: UdpSession | undefined,
  ): void {
    const path: PacketPath = { from: remote, to: listener.local }
    // After a Retry the client addresses us by the id that it gave
    const clientId = new Uint8Array(packet.destinationId)
    const id = originalId === undefined ? this.newId() : clientId
    const engineSession = this.#serverConfig.accept(id, originalId, listener.local, remote)
    engineSession.receive(bytes, path)
    // Bytes that are no handshake leave nothing behind
    if (!engineSession.hasReceived()) return
    const session = UdpSession.accept(this, engineSession, listener, path)
    // The other end waits for this, and for nothing of what follows
    session.flush()
    void evicted?.destroy()
    session.ownId(id)
    // The client's Initial and 0-RTT packets carry the id that it made up
    if (originalId === undefined) session.ownId(clientId)
    this.#unvalidated.add(sourcePrefix(remote.host), session)
    this.addSession(session)
    this.#handler.onSession(session)
  }
}

function reply(socket: UdpSocket, to: UdpAddress, write: (out: Uint8Array) => number): void {
  const slot = socket.slot()
  if (slot === undefined) return
  try {
    const length = write(slot)
    if (length > 0) socket.send(length, to)
  } catch {
    // A packet that the engine cannot answer
  }
  socket.rewind()
}

/** Latin-1: one character a byte, which is the fastest key that a `Map` takes. */
function key(bytes: Uint8Array, start: number, end: number): string {
  const buffer = bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  return buffer.toString('latin1', start, end)
}
