import {
  ArgumentError,
  toHex,
  type Compressor,
  type Millis,
  type NodeId,
  type ProtocolCore,
  type Random,
} from '@aiv/transport-api'
import { decodeAnnouncement, encodeAnnouncement, MAX_NEIGHBOURS } from './announcement.js'
import { compressPayload, plainPayload } from './compression.js'
import type { CompatibleCrypto, CompatibleIdentity } from './crypto.js'
import { decodeFile, encodeFile, type CompatibleFile } from './file.js'
import { cutPacket, decodeFragment, encodeFragment, FRAGMENT_HEADER_BYTES } from './fragment.js'
import { GossipStore, syncWindowMs } from './gossip-store.js'
import { LinkState, type CompatibleLink } from './link.js'
import { resolveOptions, type CompatibleMeshOptions, type ResolvedOptions } from './options.js'
import { Outbox, type OutboxMessage } from './outbox.js'
import {
  decodePacket,
  encodePacket,
  frameOf,
  isBroadcast,
  MAX_TTL,
  PacketType,
  signaturePreimage,
  type Packet,
} from './packet.js'
import { peerIdOf, type PeerId } from './peer-id.js'
import { PeerTable, RETENTION_MS, type CompatiblePeer } from './peer-table.js'
import { decodePrivatePayload, encodePrivatePayload, type PrivatePayload } from './private-payload.js'
import { Reassembly } from './reassembly.js'
import { RelayQueue } from './relay-queue.js'
import { decideRelay, fanOut } from './relay-rules.js'
import { packetId, seenKey, SeenPackets } from './seen-packets.js'
import { SessionTable } from './session-table.js'
import { SourceRoutes } from './source-routes.js'
import { decodeSyncRequest, encodeSyncRequest, MAX_REQUESTED_FRAGMENTS, typeBits } from './sync-request.js'
import { decodeText, encodeText } from './tlv.js'
import { Transfers } from './transfers.js'

/** What a {@link CompatibleMesh} is given. */
export interface CompatibleMeshComponents {
  readonly identity: CompatibleIdentity
  readonly crypto: CompatibleCrypto
  readonly random: Random
  /** Raw DEFLATE: `rawDeflate` on Node. */
  readonly compressor: Compressor
}

/** What happens on the mesh. */
export type CompatibleEvent =
  /** Heard for the first time, or something about it changed. */
  | { readonly type: 'peer'; readonly peer: CompatiblePeer }
  | { readonly type: 'peer-gone'; readonly peer: PeerId; readonly reason: 'left' | 'silent' | 'evicted' }
  /** Its signature was verified with the key of `from`. */
  | {
      readonly type: 'public-message'
      readonly from: PeerId
      readonly text: string
      /** Unix ms, by the sender's clock. */
      readonly sentAt: number
      readonly messageId: string
    }
  | { readonly type: 'private-message'; readonly from: PeerId; readonly text: string; readonly messageId: string }
  | { readonly type: 'delivered' | 'read'; readonly from: PeerId; readonly messageId: string }
  /** Not acknowledged after 8 attempts or 24 hours. */
  | { readonly type: 'undelivered'; readonly to: PeerId; readonly messageId: string }
  | { readonly type: 'file'; readonly from: PeerId; readonly file: CompatibleFile; readonly private: boolean }
  /** Private messages can be sent without waiting. */
  | { readonly type: 'session'; readonly peer: PeerId }
  | { readonly type: 'pong'; readonly from: PeerId; readonly hops: number; readonly roundTripMs: number }

/** Bytes of a link, either way. */
export interface LinkBytes {
  readonly link: number
  readonly bytes: Uint8Array
}

/** Why something that came in was not taken. */
export type CompatibleRefusal =
  | 'malformed'
  | 'rate'
  | 'stale'
  | 'signature'
  | 'impostor'
  | 'key-changed'
  | 'compression'
  | 'handshake'
  | 'replayed'
  | 'forged'
  | 'overload'

const FRESH_MS = 120_000
const SOLICITED_MS = 30_000
const SEEN_MS = 300_000
const FIRST_SYNC_MS = 5_000
const SYNC_MS = 15_000
const FILE_SYNC_MS = 60_000
const MAX_SYNC_PACKETS = 128
const MIN_ANNOUNCE_MS = 150
const PING_TIMEOUT_MS = 10_000
const MAX_PINGS = 32
const MAX_MESSAGE_IDS = 1_000
/** Data of a fragment where the link takes 512 bytes. */
const FRAGMENT_DATA_BYTES = 469
const MIN_FRAGMENT_DATA_BYTES = 64
const DENSE_DEGREE = 6
/** Attempts without an answer after which the session itself is doubted. */
const DOUBT_ATTEMPTS = 3
/** And only when it is that old, and nothing came through it for so long, in ms. */
const DOUBT_MS = 30_000
/** How long we wait for the other side to speak first in a session that we began, in ms. */
const CONFIRM_MS = 500
/** How far our timestamps may be before the clock, in ms: others take two minutes. */
const MAX_TIMESTAMP_LEAD_MS = 10_000n
const NOTHING = new Uint8Array(0)
const MESSAGE_TYPES = (typeBits.get(PacketType.Announce) ?? 0n) | (typeBits.get(PacketType.Message) ?? 0n)

/**
 * A participant in a mesh of phones that run bitchat: docs/wire/bitchat-compatible.md. Bytes of links, the time and
 * commands in; bytes for links and events out. What others send wrongly is counted in {@link refused} and goes no
 * further.
 */
export class CompatibleMesh implements ProtocolCore<CompatibleEvent, LinkBytes, LinkBytes> {
  /** Our own name. */
  readonly id: PeerId
  readonly #identity: CompatibleIdentity
  readonly #crypto: CompatibleCrypto
  readonly #random: Random
  readonly #compressor: Compressor
  readonly #options: ResolvedOptions
  readonly #links = new Map<number, LinkState>()
  readonly #peers: PeerTable
  readonly #routes = new SourceRoutes()
  readonly #sessions: SessionTable
  readonly #outbox: Outbox
  readonly #seen: SeenPackets
  readonly #reassembly: Reassembly
  readonly #gossip: GossipStore
  readonly #relays: RelayQueue
  readonly #transfers: Transfers<Packet>
  readonly #events: CompatibleEvent[] = []
  readonly #refused = new Map<CompatibleRefusal, number>()
  /** Of senders who are not known yet, with the link that they came over. */
  readonly #unverified: { readonly packet: Packet; readonly encoded: Uint8Array }[] = []
  /** Private messages that were handed on. */
  readonly #received = new Set<string>()
  readonly #pings = new Map<string, { readonly peer: PeerId; readonly at: Millis }>()
  /** Sessions that we began, and when to speak in them unless the other side does so first. */
  readonly #unconfirmed = new Map<PeerId, Millis>()
  /** Messages that went by a source route and have no answer. */
  readonly #routed = new Set<PeerId>()
  #unixOffsetMs: number
  #lastTimestamp = 0n
  #announceAt: Millis | undefined
  #announcedAt = -Infinity
  #left = false

  constructor(now: Millis, components: CompatibleMeshComponents, options: CompatibleMeshOptions = {}) {
    const resolved = resolveOptions(options)
    this.#unixOffsetMs = -now // until the time is known
    this.#options = resolved
    this.#identity = components.identity
    this.#crypto = components.crypto
    this.#random = components.random
    this.#compressor = components.compressor
    this.id = peerIdOf(components.crypto, components.identity.noiseKey)
    this.#peers = new PeerTable(components.crypto, resolved)
    this.#sessions = new SessionTable(now, components.identity, components.crypto, resolved.sessions)
    this.#outbox = new Outbox({ maxPerPeer: resolved.maxMessagesPerPeer, maxMessages: resolved.maxMessages })
    this.#seen = new SeenPackets({ maxEntries: resolved.maxSeenPackets, lifetimeMs: SEEN_MS })
    this.#reassembly = new Reassembly(resolved.reassembly)
    this.#gossip = new GossipStore(components.crypto)
    this.#relays = new RelayQueue(resolved.maxScheduledRelays)
    this.#transfers = new Transfers(resolved.maxTransfers)
  }

  /** Peers that are there now. */
  get peers(): CompatiblePeer[] {
    return this.#peers.values()
  }

  /** How often something was refused, by reason. */
  get refused(): ReadonlyMap<CompatibleRefusal, number> {
    return this.#refused
  }

  /** The peer with that node id, if it is there. Whether the two belong together says {@link CompatiblePeer.proven}. */
  peerOfNode(nodeId: NodeId): CompatiblePeer | undefined {
    const found = this.peers.filter((peer) => peer.nodeId === nodeId)
    return found.find(({ proven }) => proven) ?? found[0]
  }

  /** A link is up. @throws ArgumentError when its id is in use, or it takes no bytes. */
  linkUp(now: Millis, link: CompatibleLink): void {
    if (this.#links.has(link.id)) throw new ArgumentError(`link ${link.id} is up already`)
    if (!(link.maxPacketBytes >= 1)) throw new ArgumentError(`a link that takes ${link.maxPacketBytes} bytes`)
    const limits = {
      ...this.#options,
      handshakesPerMinute: this.#options.sessions.handshakesPerMinute,
      syncDelayMs: FIRST_SYNC_MS,
      fileSyncMs: FILE_SYNC_MS,
    }
    this.#links.set(link.id, new LinkState(now, link, limits))
    if (!this.#left) this.#announceAt = Math.max(now, this.#announcedAt + MIN_ANNOUNCE_MS)
  }

  /** A link is down. */
  linkDown(_now: Millis, link: number): void {
    this.#links.delete(link)
    if (this.#links.size === 0) this.#announceAt = undefined
  }

  /** What one write on a link takes has changed. */
  setMaxPacketBytes(link: number, maxPacketBytes: number): void {
    const state = this.#links.get(link)
    if (state !== undefined && maxPacketBytes >= 1) state.maxPacketBytes = maxPacketBytes
  }

  /** Whether a link takes more: nothing comes out of {@link pollOutput} for one that does not. */
  setWritable(link: number, writable: boolean): void {
    const state = this.#links.get(link)
    if (state !== undefined) state.blocked = !writable
  }

  /** A message to everybody: its id, or `undefined` when too much waits to be sent. */
  sendPublic(now: Millis, text: string): string | undefined {
    const payload = encodeText(text)
    const packet = this.#make(now, { type: PacketType.Message, payload, sign: true })
    return this.#send(now, packet) ? toHex(packetId(this.#crypto, packet, payload)) : undefined
  }

  /**
   * A message that only `to` can read: its id, for `delivered`, `read` or `undelivered`; `undefined` when too many wait.
   * A peer that is away gets it when it appears.
   * @throws ArgumentError for more than 255 bytes of UTF-8.
   */
  sendPrivate(now: Millis, to: PeerId, text: string): string | undefined {
    if (encodeText(text).length > 255) throw new ArgumentError('a private message has at most 255 bytes')
    const messageId = toHex(this.#random.bytes(16))
    if (this.#left || !this.#outbox.add(now, to, messageId, text)) return undefined
    this.#serveOutbox(now)
    return messageId
  }

  /** Tells the sender of a private message that a person has read it. False: no session, or too much waits. */
  sendRead(now: Millis, to: PeerId, messageId: string): boolean {
    return this.#sendInner(now, to, { type: 'read', messageId })
  }

  /** A file to everybody, or through an established session to `to`. False: too long, no session, or too much waits. */
  sendFile(now: Millis, file: CompatibleFile, to?: PeerId): boolean {
    const payload = encodeFile(file)
    if (to !== undefined) return this.#sendInner(now, to, { type: 'file', file: payload })
    return this.#send(now, this.#make(now, { type: PacketType.FileTransfer, payload, sign: true }))
  }

  /** Asks how far it is; `pong` follows, or nothing. False: too many are under way. */
  ping(now: Millis, peer: PeerId): boolean {
    for (const [nonce, { at }] of this.#pings) if (now - at >= PING_TIMEOUT_MS) this.#pings.delete(nonce)
    if (this.#pings.size >= MAX_PINGS) return false
    const nonce = this.#random.bytes(8)
    this.#pings.set(toHex(nonce), { peer, at: now })
    const payload = Uint8Array.of(...nonce, MAX_TTL)
    // in version 2, by which others learn that we speak it: source routes need that
    return this.#send(now, this.#make(now, { type: PacketType.Ping, payload, recipient: peer, version: 2 }))
  }

  /** Says goodbye. Links stay up until what is queued is sent; nothing is taken or sent afterwards. */
  leave(now: Millis): void {
    if (this.#left) return
    this.#send(now, this.#make(now, { type: PacketType.Leave, payload: NOTHING, sign: true }))
    this.#left = true
  }

  handleUnixTime(offsetMs: number): void {
    this.#unixOffsetMs = offsetMs
  }

  handleInput(now: Millis, { link, bytes }: LinkBytes): void {
    const state = this.#links.get(link)
    if (state === undefined || this.#left) return
    const { frames, lost } = state.assembler.push(now, bytes)
    if (lost) this.#refuse('malformed')
    for (const frame of frames) {
      if (state.packets.take(now)) this.#handleFrame(now, state, frame)
      else this.#refuse('rate')
    }
  }

  handleTimeout(now: Millis): void {
    if (this.#left || now < (this.nextTimeout() ?? Infinity)) return
    for (const peer of this.#peers.expire(now)) this.#gone(peer, 'silent')
    if (this.#announceAt !== undefined && now >= this.#announceAt) this.#announce(now)
    for (const { key, relay } of this.#relays.due(now)) {
      this.#transmit(now, relay.packet, relay.encoded, { key, except: relay.heard })
    }
    for (const packet of this.#transfers.due(now)) this.#dispatch(now, packet)
    const stalled = this.#reassembly.handleTimeout(now, MAX_REQUESTED_FRAGMENTS)
    if (stalled.length > 0) for (const link of this.#links.values()) this.#requestSync(now, link, stalled)
    for (const peer of this.#sessions.handleTimeout(now)) this.#outbox.hurry(now, peer)
    for (const [peer, at] of this.#unconfirmed) if (now >= at) this.#speak(now, peer)
    this.#serveOutbox(now)
    for (const link of this.#links.values()) {
      if (now >= link.syncAt) {
        link.syncAt = now + SYNC_MS
        this.#requestSync(now, link)
      }
    }
  }

  pollOutput(_now: Millis): LinkBytes | undefined {
    for (const link of this.#links.values()) {
      const bytes = link.shift()
      if (bytes !== undefined) return { link: link.id, bytes }
    }
    return undefined
  }

  pollEvent(): CompatibleEvent | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    if (this.#left) return undefined
    const deadlines = [
      this.#announceAt,
      this.#peers.nextTimeout(),
      this.#relays.nextTimeout(),
      this.#transfers.nextTimeout(),
      this.#reassembly.nextTimeout(),
      this.#sessions.nextTimeout(),
      this.#outbox.nextTimeout(),
      ...this.#unconfirmed.values(),
      ...[...this.#links.values()].map(({ syncAt }) => syncAt),
    ].filter((at) => at !== undefined)
    return deadlines.length === 0 ? undefined : Math.min(...deadlines)
  }

  // Receiving

  #handleFrame(now: Millis, link: LinkState, encoded: Uint8Array): void {
    const packet = decodePacket(encoded)
    if (packet === undefined) return this.#refuse('malformed')
    if (packet.sender === this.id) return
    if (!this.#isFresh(now, link, packet)) return this.#refuse('stale')
    const key = seenKey(this.#crypto, packet)
    if (this.#seen.has(now, key)) {
      this.#relays.noteCopy(key, link.id)
      if (packet.type === PacketType.Announce && packet.ttl === MAX_TTL) this.#noteCopy(link, packet.sender)
      // one that was seen may be asked for again when its assembly was given up
      if (packet.type === PacketType.Fragment) this.#handleFragment(now, link, packet)
      return
    }
    // of peers that are there only: names cost nothing
    if (packet.version === 2 && this.#peers.get(packet.sender) !== undefined) {
      this.#routes.noteVersion2(packet.sender)
    }
    if (!this.#handlePacket(now, link, packet, encoded)) return
    this.#seen.record(now, key)
    if (packet.recipient !== this.id) this.#scheduleRelay(now, link, key, packet, encoded)
  }

  /** False: it is wrong, so it is neither relayed nor taken for the right one when that comes. */
  #handlePacket(now: Millis, link: LinkState, packet: Packet, encoded: Uint8Array): boolean {
    const forUs = packet.recipient === this.id
    if (!forUs && !isBroadcast(packet)) return true
    switch (packet.type) {
      case PacketType.Announce:
        return this.#handleAnnounce(now, link, packet, encoded)
      case PacketType.Message:
      case PacketType.FileTransfer:
        return this.#handleSigned(packet, encoded)
      case PacketType.Leave:
        return this.#handleLeave(packet)
      case PacketType.Fragment:
        return this.#handleFragment(now, link, packet, encoded)
      case PacketType.RequestSync:
        this.#handleSyncRequest(now, link, packet)
        return true
      default:
        if (forUs) this.#handleDirected(now, link, packet)
        return true
    }
  }

  #handleDirected(now: Millis, link: LinkState, packet: Packet): void {
    const { type, sender, ttl } = packet
    const payload = this.#plain(packet)
    if (payload === undefined) return
    if (type === PacketType.NoiseHandshake) {
      // by link, as the sender's name costs nothing
      if (link.handshakes.take(now)) this.#handleHandshake(now, sender, payload)
      else this.#refuse('rate')
    } else if (type === PacketType.NoiseEncrypted) {
      this.#handleEncrypted(now, link, sender, payload)
    } else if (type === PacketType.Ping && payload.length === 9) {
      if (!link.pings.take(now)) return this.#refuse('rate')
      const answer = Uint8Array.of(...payload.subarray(0, 8), MAX_TTL)
      this.#send(now, this.#make(now, { type: PacketType.Pong, payload: answer, recipient: sender, version: 2 }))
    } else if (type === PacketType.Pong && payload.length === 9) {
      const nonce = toHex(payload.subarray(0, 8))
      const ping = this.#pings.get(nonce)
      if (ping?.peer !== sender || now - ping.at >= PING_TIMEOUT_MS) return
      this.#pings.delete(nonce)
      const hops = Math.max(1, (payload[8] as number) - ttl + 1)
      this.#routed.delete(sender)
      this.#events.push({ type: 'pong', from: sender, hops, roundTripMs: now - ping.at })
    }
  }

  #handleAnnounce(now: Millis, link: LinkState, packet: Packet, encoded: Uint8Array): boolean {
    const { sender, timestamp, ttl, signature } = packet
    const plain = this.#plain(packet)
    if (plain === undefined) return false
    const announcement = decodeAnnouncement(plain)
    if (announcement === undefined) return this.#deny('malformed')
    const check = this.#peers.check(sender, announcement, timestamp)
    if (check === 'impostor' || check === 'key-changed') return this.#deny(check)
    if (check === 'outdated') return true
    if (!this.#verify(announcement.signingKey, packet, signature)) return this.#deny('signature')
    const hops = MAX_TTL - Math.min(ttl, MAX_TTL)
    const before = this.#peers.get(sender)
    // what a neighbour remembers may be beyond what a packet reaches
    const present = !packet.solicited && this.#ageMs(now, timestamp) < RETENTION_MS
    const { observation, evicted } = this.#peers.observe(now, sender, announcement, { timestamp, hops, present })
    this.#gossip.add(packet, plain, encoded)
    if (present) {
      this.#routes.learn(now, sender, announcement.neighbours)
      if (ttl === MAX_TTL) this.#noteNeighbour(link, sender)
      const peer = this.#peers.get(sender)
      if (peer !== undefined && (before === undefined || isChanged(before, peer))) {
        this.#events.push({ type: 'peer', peer })
      }
      if (observation === 'new') this.#outbox.hurry(now, sender)
    }
    if (evicted !== undefined) this.#gone(evicted, 'evicted')
    this.#retryUnverified(sender)
    this.#serveOutbox(now)
    return true
  }

  /** A public message or file: only with the signature of a peer whose key is known. */
  #handleSigned(packet: Packet, encoded: Uint8Array): boolean {
    const key = this.#peers.signingKeyOf(packet.sender)
    if (key === undefined) {
      // relayed all the same: others may know the sender
      this.#unverified.push({ packet: copyOf(packet), encoded: new Uint8Array(encoded) })
      if (this.#unverified.length > this.#options.maxUnverifiedMessages) this.#unverified.shift()
      return true
    }
    if (!this.#verify(key, packet, packet.signature)) return this.#deny('signature')
    const plain = this.#plain(packet)
    if (plain === undefined) return false
    if (this.#gossip.isKnown(packet, plain)) return true
    if (isBroadcast(packet)) this.#gossip.add(packet, plain, encoded)
    if (packet.type === PacketType.FileTransfer) {
      const file = decodeFile(plain)
      if (file === undefined) return this.#deny('malformed')
      this.#events.push({ type: 'file', from: packet.sender, file, private: packet.recipient === this.id })
      return true
    }
    const text = decodeText(plain)
    if (text === undefined) return this.#deny('malformed')
    const messageId = toHex(packetId(this.#crypto, packet, plain))
    const sentAt = Number(packet.timestamp)
    this.#events.push({ type: 'public-message', from: packet.sender, text, sentAt, messageId })
    return true
  }

  #retryUnverified(sender: PeerId): void {
    const waiting = this.#unverified.splice(0)
    for (const entry of waiting) {
      if (entry.packet.sender === sender) this.#handleSigned(entry.packet, entry.encoded)
      else this.#unverified.push(entry)
    }
  }

  /** Unsigned ones occur; a peer that is really gone falls silent anyway, so only a signature counts. */
  #handleLeave(packet: Packet): boolean {
    const { sender } = packet
    const key = this.#peers.signingKeyOf(sender)
    if (key === undefined) return true
    if (!this.#verify(key, packet, packet.signature)) return this.#deny('signature')
    if (!this.#peers.leave(sender, packet.timestamp)) return true
    this.#gossip.forget(sender)
    this.#gone(sender, 'left')
    return true
  }

  /** @param encoded - given when it was not seen before. */
  #handleFragment(now: Millis, link: LinkState, packet: Packet, encoded?: Uint8Array): boolean {
    const forUs = packet.recipient === this.id
    const broadcast = isBroadcast(packet)
    const plain = forUs || broadcast ? this.#plain(packet) : undefined
    if (plain === undefined) return !forUs && !broadcast
    const fragment = decodeFragment(plain)
    // a fragment of a fragment would be a way to make us work for nothing
    if (fragment === undefined || fragment.type === PacketType.Fragment) return this.#deny('malformed')
    if (broadcast && encoded !== undefined && !packet.solicited) this.#gossip.add(packet, plain, encoded)
    const from = { link: link.id, sender: packet.sender, broadcast }
    const whole = this.#reassembly.add(now, from, { ...fragment, data: new Uint8Array(fragment.data) })
    if (whole === undefined) return true
    const inner = decodePacket(whole)
    if (inner === undefined || inner.type === PacketType.Fragment || inner.sender !== packet.sender) {
      return this.#deny('malformed')
    }
    if (!this.#isFresh(now, link, inner)) return this.#deny('stale')
    const key = seenKey(this.#crypto, inner)
    // its fragments are relayed, so it is not; and TTL 7 in it says nothing about who our neighbour is
    const packetInside = { ...inner, ttl: 0 }
    if (!this.#seen.has(now, key) && this.#handlePacket(now, link, packetInside, whole)) this.#seen.record(now, key)
    return true
  }

  #handleSyncRequest(now: Millis, link: LinkState, packet: Packet): void {
    if (packet.ttl > 1 && packet.recipient !== this.id) return
    const plain = this.#plain(packet)
    const request = plain && decodeSyncRequest(plain)
    if (request === undefined) return this.#refuse('malformed')
    if (!link.syncs.take(now)) return this.#refuse('rate')
    for (const encoded of this.#gossip.answer(this.#unixNow(now), request, MAX_SYNC_PACKETS)) {
      const kept = decodePacket(encoded)
      if (kept !== undefined) this.#answerWith(now, link, { ...kept, ttl: 0, solicited: true })
    }
  }

  #handleHandshake(now: Millis, peer: PeerId, message: Uint8Array): void {
    const result = this.#sessions.handleHandshake(now, peer, message)
    if (result.type === 'failed') return this.#refuse('handshake')
    if (result.type === 'ignored') return
    if (result.message !== undefined) this.#sendHandshake(now, peer, result.message)
    if (result.type !== 'established') return
    this.#events.push({ type: 'session', peer })
    // relays delay by chance: what follows our last handshake message at once may overtake it, and be lost
    if (result.message === undefined) this.#speak(now, peer)
    else this.#unconfirmed.set(peer, now + CONFIRM_MS)
  }

  /** The other side has the session, too, or had time enough. */
  #speak(now: Millis, peer: PeerId): void {
    const { capabilities = 0n } = this.#options
    this.#unconfirmed.delete(peer)
    this.#sendInner(now, peer, { type: 'peer-state', capabilities, signingKey: this.#identity.signingKey })
    this.#outbox.hurry(now, peer)
    this.#serveOutbox(now)
  }

  #handleEncrypted(now: Millis, link: LinkState, peer: PeerId, sealed: Uint8Array): void {
    const plain = this.#sessions.open(now, peer, sealed)
    if (plain === 'no-session') {
      // it seems to have one with us that we lost
      if (this.#peers.get(peer) === undefined) return
      if (!link.handshakes.take(now)) return this.#refuse('rate')
      const message = this.#sessions.begin(now, peer)
      if (message !== undefined) this.#sendHandshake(now, peer, message)
      return
    }
    if (typeof plain === 'string') return this.#refuse(plain)
    const payload = decodePrivatePayload(plain)
    if (payload === undefined) return this.#refuse('malformed')
    this.#routed.delete(peer)
    if (this.#unconfirmed.has(peer)) this.#speak(now, peer)
    if (payload.type === 'message') {
      this.#sendInner(now, peer, { type: 'delivered', messageId: payload.messageId })
      const key = `${peer} ${payload.messageId}`
      if (this.#received.has(key)) return
      this.#received.add(key)
      for (const oldest of this.#received) {
        if (this.#received.size <= MAX_MESSAGE_IDS) break
        this.#received.delete(oldest)
      }
      this.#events.push({ type: 'private-message', from: peer, text: payload.text, messageId: payload.messageId })
    } else if (payload.type === 'delivered') {
      if (this.#outbox.delivered(peer, payload.messageId)) this.#events.push({ ...payload, from: peer })
    } else if (payload.type === 'read') {
      this.#events.push({ ...payload, from: peer })
    } else if (payload.type === 'file') {
      const file = decodeFile(payload.file)
      if (file === undefined) return this.#refuse('malformed')
      this.#events.push({ type: 'file', from: peer, file, private: true })
    } else {
      const noiseKey = this.#sessions.noiseKeyOf(peer)
      const changed = noiseKey && this.#peers.prove(peer, noiseKey, payload.signingKey)
      if (changed !== undefined) this.#events.push({ type: 'peer', peer: changed })
    }
  }

  #scheduleRelay(now: Millis, link: LinkState, key: string, packet: Packet, encoded: Uint8Array): void {
    // a route that visits somebody twice is a loop
    if (new Set(packet.route).size !== packet.route.length) return this.#refuse('malformed')
    const decision = decideRelay({
      type: packet.type,
      ttl: packet.ttl,
      directed: !isBroadcast(packet),
      degree: this.#degree(),
      networkSize: this.#peers.size,
      rules: this.#options.relayRules,
      chance: [this.#random.uniform(), this.#random.uniform()],
    })
    if (decision === undefined || this.#links.size < 2) return
    const relayed = new Uint8Array(encoded)
    relayed[2] = decision.ttl
    const relay = {
      packet: { ...packet, ttl: decision.ttl },
      encoded: relayed,
      heard: new Set([link.id]),
      at: now + decision.delayMs,
    }
    if (!this.#relays.add(key, relay)) this.#refuse('overload')
  }

  // Sending

  #make(
    now: Millis,
    fields: {
      readonly type: number
      readonly payload: Uint8Array
      readonly recipient?: PeerId
      readonly sign?: boolean
      readonly version?: 1 | 2
      readonly ttl?: number
    },
  ): Packet {
    const { type, recipient, ttl = MAX_TTL } = fields
    const compressed = compressPayload(this.#compressor, fields.payload)
    const route = recipient === undefined || ttl < MAX_TTL ? undefined : this.#routeTo(now, recipient)
    const long = fields.payload.length > 0xffff
    const packet: Packet = {
      version: fields.version ?? (long || route !== undefined ? 2 : 1),
      type,
      ttl,
      timestamp: this.#nextTimestamp(now),
      sender: this.id,
      recipient,
      route: route ?? [],
      ...compressed,
      signature: undefined,
      solicited: false,
    }
    return fields.sign === true ? { ...packet, signature: this.#identity.sign(signaturePreimage(packet)) } : packet
  }

  #routeTo(now: Millis, peer: PeerId): PeerId[] | undefined {
    return this.#routes.find(now, this.id, this.#neighbours(), peer)
  }

  /** A packet of ours. False: too long, or too much waits. */
  #send(now: Millis, packet: Packet, flood = false): boolean {
    if (this.#left) return false
    const encoded = encodePacket(packet)
    const key = seenKey(this.#crypto, packet)
    const pieces = this.#fragments(packet, encoded, [...this.#links.values()])
    if (pieces !== undefined) {
      const spacingMs = isBroadcast(packet) ? 30 : 25
      if (pieces.length > this.#options.maxSentFragments) return false
      if (!this.#transfers.add(now, { pieces, spacingMs })) return false
    } else {
      this.#transmit(now, packet, encoded, { key, flood })
    }
    this.#seen.record(now, key)
    const plain = isBroadcast(packet) ? this.#plain(packet) : undefined
    if (plain !== undefined) this.#gossip.add(packet, plain, encoded)
    return true
  }

  /** A fragment of ours whose time has come. */
  #dispatch(now: Millis, packet: Packet): void {
    const encoded = encodePacket(packet)
    const key = seenKey(this.#crypto, packet)
    this.#seen.record(now, key)
    if (isBroadcast(packet) && !packet.solicited) this.#gossip.add(packet, packet.payload, encoded)
    this.#transmit(now, packet, encoded, { key })
  }

  /** `undefined`: it is short enough for every one of the links. */
  #fragments(packet: Packet, encoded: Uint8Array, links: readonly LinkState[]): Packet[] | undefined {
    const { fragmentThresholdBytes } = this.#options
    const limit = Math.min(fragmentThresholdBytes, ...links.map(({ maxPacketBytes }) => maxPacketBytes))
    if (encoded.length <= limit) return undefined
    const { recipient, route, timestamp, ttl, solicited } = packet
    const version = route.length > 0 ? 2 : 1
    const header =
      (version === 1 ? 14 : 17) + 8 + (recipient === undefined ? 0 : 8) + 8 * route.length + FRAGMENT_HEADER_BYTES
    const dataBytes = Math.max(MIN_FRAGMENT_DATA_BYTES, Math.min(FRAGMENT_DATA_BYTES, limit - header))
    // what is hardly too long for a small link is not worth a header of 64 bytes more
    if (encoded.length <= MIN_FRAGMENT_DATA_BYTES + header) return undefined
    return cutPacket(toHex(this.#random.bytes(8)), encoded, dataBytes).map((fragment) => ({
      version,
      type: PacketType.Fragment,
      ttl,
      timestamp,
      sender: packet.sender,
      recipient,
      route,
      payload: encodeFragment(fragment),
      originalSize: undefined,
      signature: undefined,
      solicited,
    }))
  }

  /** Puts a packet into the queues of those links that it should go over. */
  #transmit(
    now: Millis,
    packet: Packet,
    encoded: Uint8Array,
    {
      key,
      except,
      flood = false,
    }: { readonly key: string; readonly except?: ReadonlySet<number>; readonly flood?: boolean },
  ): void {
    const frame = frameOf(encoded)
    for (const link of this.#linksFor(packet, key, except, flood)) {
      if (!link.push(frame)) this.#refuse('overload')
    }
  }

  #linksFor(packet: Packet, key: string, except: ReadonlySet<number> | undefined, flood: boolean): LinkState[] {
    const all = [...this.#links.values()].filter(({ id }) => except?.has(id) !== true)
    if (packet.type === PacketType.Announce || packet.type === PacketType.Leave) return all
    const { recipient, route } = packet
    const active = all.filter((link) => this.#isNeeded(link))
    if (recipient !== undefined && !isBroadcast(packet)) {
      if (flood) return all
      const at = route.indexOf(this.id)
      const onRoute = at >= 0 || packet.sender === this.id
      const next = route.length > 0 && onRoute ? (route[at + 1] ?? recipient) : recipient
      const direct = [...this.#links.values()].find(({ neighbours }) => neighbours.has(next))
      return direct === undefined ? active : all.filter((link) => link === direct)
    }
    if (packet.type !== PacketType.Message) return active
    const most = fanOut(active.length)
    if (most >= active.length) return active
    const rank = (link: LinkState): string => toHex(this.#crypto.sha256(encodeText(`${key}::${link.id}`)))
    return active
      .map((link) => ({ link, rank: rank(link) }))
      .sort((a, b) => (a.rank < b.rank ? -1 : 1))
      .slice(0, most)
      .map(({ link }) => link)
  }

  /** A kept packet for one neighbour, in fragments where it must be. */
  #answerWith(now: Millis, link: LinkState, packet: Packet): void {
    const encoded = encodePacket(packet)
    const pieces = packet.type === PacketType.Fragment ? undefined : this.#fragments(packet, encoded, [link])
    for (const frame of pieces?.map(encodePacket) ?? [encoded]) {
      if (!link.push(frame)) return this.#refuse('overload')
    }
  }

  #requestSync(now: Millis, link: LinkState, fragments: readonly string[] = []): void {
    let types = MESSAGE_TYPES
    if (fragments.length > 0) types = typeBits.get(PacketType.Fragment) ?? 0n
    else if (now >= link.filesAt) {
      link.filesAt = now + FILE_SYNC_MS
      types |= typeBits.get(PacketType.FileTransfer) ?? 0n
    }
    const payload = encodeSyncRequest(this.#gossip.request(this.#unixNow(now), types, fragments))
    link.requestedAt = now
    const packet = this.#make(now, { type: PacketType.RequestSync, payload, sign: true, ttl: 0 })
    this.#answerWith(now, link, packet)
  }

  #announce(now: Millis): void {
    const { nickname, capabilities } = this.#options
    const payload = encodeAnnouncement({
      nickname,
      noiseKey: this.#identity.noiseKey,
      signingKey: this.#identity.signingKey,
      neighbours: this.#neighbours().slice(0, MAX_NEIGHBOURS),
      capabilities,
      geohash: undefined,
    })
    this.#send(now, this.#make(now, { type: PacketType.Announce, payload, sign: true }))
    this.#announcedAt = now
    this.#announceAt = now + this.#announceIntervalMs()
  }

  #announceIntervalMs(): number {
    if (this.#peers.size === 0) return 4_000
    const [middle, jitter] = this.#degree() >= DENSE_DEGREE ? [30_000, 8_000] : [15_000, 4_000]
    return middle + jitter * (2 * this.#random.uniform() - 1)
  }

  #serveOutbox(now: Millis): void {
    const { send, failed } = this.#outbox.due(now, (peer) => this.#peers.get(peer) !== undefined)
    for (const { to, messageId } of failed) this.#events.push({ type: 'undelivered', to, messageId })
    for (const message of send) this.#sendMessage(now, message)
  }

  #sendMessage(now: Millis, message: OutboxMessage): void {
    const { to, messageId, text, attempts } = message
    if (attempts > 0 && this.#routed.has(to)) this.#routes.noteFailure(now, to)
    if (attempts >= DOUBT_ATTEMPTS) this.#sessions.doubt(now, to, DOUBT_MS)
    if (this.#unconfirmed.has(to)) return
    if (this.#sessions.isEstablished(now, to)) {
      // a neighbour is only said to be one, a route only announced: a second attempt relies on neither
      if (this.#sendInner(now, to, { type: 'message', messageId, text }, attempts > 0)) this.#outbox.sent(message)
      return
    }
    const first = this.#sessions.begin(now, to)
    if (first !== undefined) this.#sendHandshake(now, to, first)
  }

  #sendHandshake(now: Millis, to: PeerId, message: Uint8Array): void {
    const packet = this.#make(now, { type: PacketType.NoiseHandshake, payload: message, recipient: to })
    // over every link: they are few, and who only says that the peer is his neighbour must not be able to stop them
    this.#send(now, packet, true)
  }

  #sendInner(now: Millis, to: PeerId, inner: PrivatePayload, flood = false): boolean {
    const payload = this.#sessions.seal(now, to, encodePrivatePayload(inner))
    if (payload === undefined) return false
    const packet = this.#make(now, { type: PacketType.NoiseEncrypted, payload, recipient: to })
    if (packet.route.length > 0) this.#routed.add(to)
    return this.#send(now, packet, flood)
  }

  // Neighbours

  /** The first copy of an announcement with a full TTL came over this link: a liar's copy comes later. */
  #noteNeighbour(link: LinkState, peer: PeerId): void {
    for (const other of this.#links.values()) {
      other.copies.delete(peer)
      if (other.neighbours.delete(peer) && other !== link) other.copies.add(peer)
    }
    link.neighbours.add(peer)
  }

  #noteCopy(link: LinkState, peer: PeerId): void {
    if (!link.neighbours.has(peer) && this.#peers.get(peer) !== undefined) link.copies.add(peer)
  }

  /** False: whoever is behind it is reached over another link, too. */
  #isNeeded(link: LinkState): boolean {
    return link.neighbours.size > 0 || link.copies.size === 0
  }

  #neighbours(): PeerId[] {
    return [...this.#links.values()].flatMap(({ neighbours }) => [...neighbours])
  }

  #degree(): number {
    return [...this.#links.values()].filter((link) => this.#isNeeded(link)).length
  }

  #gone(peer: PeerId, reason: 'left' | 'silent' | 'evicted'): void {
    for (const link of this.#links.values()) {
      link.neighbours.delete(peer)
      link.copies.delete(peer)
    }
    this.#routes.forget(peer)
    this.#routed.delete(peer)
    this.#events.push({ type: 'peer-gone', peer, reason })
  }

  // Small things

  #isFresh(now: Millis, link: LinkState, packet: Packet): boolean {
    const age = this.#ageMs(now, packet.timestamp)
    const windowMs = syncWindowMs(packet.type)
    const asked = link.requestedAt !== undefined && now - link.requestedAt <= SOLICITED_MS
    if (packet.solicited && asked && windowMs !== undefined) return age <= windowMs && age >= -FRESH_MS
    return Math.abs(age) <= FRESH_MS
  }

  #verify(key: Uint8Array, packet: Packet, signature: Uint8Array | undefined): boolean {
    return signature !== undefined && this.#crypto.verify(key, signaturePreimage(packet), signature)
  }

  #plain(packet: Packet): Uint8Array | undefined {
    const plain = plainPayload(this.#compressor, packet)
    if (plain === undefined) this.#refuse('compression')
    return plain
  }

  #refuse(reason: CompatibleRefusal): void {
    this.#refused.set(reason, (this.#refused.get(reason) ?? 0) + 1)
  }

  #deny(reason: CompatibleRefusal): false {
    this.#refuse(reason)
    return false
  }

  #unixNow(now: Millis): number {
    return Math.floor(now + this.#unixOffsetMs)
  }

  #ageMs(now: Millis, timestamp: bigint): number {
    return this.#unixNow(now) - Number(timestamp)
  }

  /** Two packets of ours do not have the same one, as it is part of their names; unless the clock was put back. */
  #nextTimestamp(now: Millis): bigint {
    const time = BigInt(Math.max(0, this.#unixNow(now)))
    const isBehind = time <= this.#lastTimestamp && this.#lastTimestamp - time < MAX_TIMESTAMP_LEAD_MS
    this.#lastTimestamp = isBehind ? this.#lastTimestamp + 1n : time
    return this.#lastTimestamp
  }
}

function isChanged(before: CompatiblePeer, after: CompatiblePeer): boolean {
  const { nickname, capabilities, proven, nodeId } = before
  return (
    nickname !== after.nickname ||
    capabilities !== after.capabilities ||
    proven !== after.proven ||
    nodeId !== after.nodeId
  )
}

/** On its own, since an input is a view of a buffer that others may hold. */
function copyOf(packet: Packet): Packet {
  return {
    ...packet,
    payload: new Uint8Array(packet.payload),
    signature: packet.signature && new Uint8Array(packet.signature),
  }
}
