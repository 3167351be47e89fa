import { ArgumentError, type Millis, type NodeId, Priority, type ProtocolCore } from '@aiv/transport-api'
import {
  MAX_ANNOUNCEMENT_SKEW_MS,
  readAnnouncement,
  signAnnouncement,
  signBroadcast,
  verifyAnnouncement,
  verifyBroadcast,
} from './announcement.js'
import { Breadcrumbs } from './breadcrumbs.js'
import { type Job, MeshLink } from './mesh-link.js'
import { type MeshOptions, type VerifiedMeshOptions, verifyMeshOptions } from './mesh-options.js'
import {
  MAX_CUSTODY,
  MAX_HOPS,
  type MeshPacket,
  MeshPacketType,
  type MeshPassage,
  PACKET_ID_BYTES,
  decodeMesh,
  encodeMeshPacket,
  fingerprintFromHash,
  setPassage,
  withoutPassage,
} from './mesh-packet.js'
import { MeshStore } from './mesh-store.js'
import type {
  MeshComponents,
  MeshCounters,
  MeshDatagram,
  MeshDropReason,
  MeshEvent,
  MeshLinkOptions,
  MeshRoute,
  MeshSendResult,
} from './mesh-types.js'
import { plainBytes } from './plain-bytes.js'
import { type KnownPeer, RouteTable } from './route-table.js'
import { SeenCache } from './seen-cache.js'

/** Bytes of a proof of delivery: k, of which the packet id is the hash. */
export const PROOF_BYTES = 16

/** A flooded packet that waits for others to do it. */
interface Pending {
  readonly job: Job
  readonly dueAt: Millis
}

/** Announcements of others that a new neighbour is shown. */
const MAX_SHOWN = 32
/** Ours is not made anew for a new neighbour when it is younger than this, in ms. */
const FRESH_ANNOUNCEMENT_MS = 15_000
const ANNOUNCE_JITTER = 0.25
/** A neighbour that counts so many hops too much is not told: it would cost more than the detour. */
const TOLERATED_DETOUR_HOPS = 1
/** Neighbours from which on the relay jitter is used in full. */
const DENSE_LINKS = 8
/** What is kept for a node is handed over in such portions. */
const HANDOVER_PACKETS = 8
const HANDOVER_INTERVAL_MS = 250
/** How long a node that was our neighbour counts as likely to come back to us, in ms. */
const FORMER_NEIGHBOUR_MS = 3_600_000
const MAX_FORMER_NEIGHBOURS = 256
const PENALTY_MS = 60_000
/** A forged or malformed packet counts as this many faults of the neighbour. */
const FORGED_FAULTS = 10
const NO_MORE = new Uint8Array(0)

/**
 * One node of the mesh, without any radio: links come and go, packets come in over them, and what is to be sent over
 * which of them comes out. docs/wire/bitchat-native.md
 *
 * The shell calls {@link handleUnixTime} first, {@link linkUp} and {@link linkDown} as links do, {@link pauseLink} while
 * a link takes nothing, and after every call drains `pollOutput` and `pollEvent` and arms its timer.
 */
export class MeshCore implements ProtocolCore<MeshEvent, MeshDatagram, MeshDatagram> {
  readonly nodeId: NodeId
  readonly counters: MeshCounters = {
    transmitted: 0,
    transmittedBytes: 0,
    hopAcks: 0,
    relayed: 0,
    repeated: 0,
    delivered: 0,
    duplicates: 0,
    cancelled: 0,
    handedOver: 0,
    dropped: {
      malformed: 0,
      rate: 0,
      'hop-limit': 0,
      forged: 0,
      stale: 0,
      'unknown-source': 0,
      queue: 0,
      'no-route': 0,
    },
  }
  readonly #components: MeshComponents
  readonly #options: VerifiedMeshOptions
  readonly #links = new Map<number, MeshLink>()
  readonly #seen: SeenCache
  readonly #routes: RouteTable
  readonly #crumbs: Breadcrumbs
  readonly #store: MeshStore
  readonly #pending = new Map<number, Pending>()
  readonly #handovers = new Map<NodeId, Millis>()
  readonly #formerNeighbours = new Map<NodeId, Millis>()
  readonly #events: MeshEvent[] = []
  #unixOffset: number | undefined
  #announceIntervalMs: number
  #announceAt: Millis | undefined
  #announced: { readonly bytes: Uint8Array; readonly at: Millis; readonly issuedAt: number } | undefined
  #more: Uint8Array = NO_MORE
  /** The link that was served last, so that all take turns. */
  #served: number | undefined

  /** @throws ArgumentError for an option out of range. */
  constructor(now: Millis, components: MeshComponents, options?: MeshOptions) {
    this.#components = components
    this.#options = verifyMeshOptions(options)
    this.nodeId = components.identity.nodeId
    const { maxSeen, seenLifetimeMs, maxPeers, routeLifetimeMs, maxBreadcrumbs, proofTimeoutMs, store } = this.#options
    this.#seen = new SeenCache({ maxEntries: maxSeen, lifetimeMs: seenLifetimeMs })
    const routeOptions = { maxPeers, maxNextHops: 3, routeLifetimeMs, penaltyMs: PENALTY_MS }
    this.#routes = new RouteTable(routeOptions, (link) => this.#links.get(link)?.cost ?? 0)
    this.#crumbs = new Breadcrumbs({ maxEntries: maxBreadcrumbs, lifetimeMs: proofTimeoutMs })
    this.#store = new MeshStore(store, components.isTrusted ?? (() => false))
    this.#announceIntervalMs = this.#options.announceIntervalMs
    this.#announceAt = now
  }

  get links(): Iterable<MeshLinkView> {
    return this.#links.values()
  }

  /** Nodes that have announced themselves, reachable or not, those heard of last at the end. */
  get peers(): Iterable<Pick<KnownPeer, 'announcement' | 'hops' | 'heardAt'>> {
    return this.#routes.peers()
  }

  /** Packets and bytes that are kept for absent nodes. */
  get stored(): { readonly packets: number; readonly bytes: number } {
    return { packets: this.#store.size, bytes: this.#store.bytes }
  }

  /** Packets that wait for the link with the most of them: above a few dozen there is no use in sending more. */
  get queuedPackets(): number {
    let most = 0
    for (const { queue } of this.#links.values()) most = Math.max(most, queue.size)
    return most
  }

  /** Nothing waits for a link, and every neighbour has said that it has what it was to acknowledge. */
  get isFlushed(): boolean {
    for (const { queue, unacknowledged } of this.#links.values()) if (queue.size + unacknowledged > 0) return false
    return true
  }

  /** The way that the next packet to `node` takes; `undefined`: it would be flooded. */
  route(now: Millis, node: NodeId): MeshRoute | undefined {
    return this.#routes.best(now, node)
  }

  /** A link to some neighbour is up. @throws ArgumentError when its number is in use. */
  linkUp(now: Millis, link: number, { rssi }: MeshLinkOptions): void {
    if (this.#links.has(link)) throw new ArgumentError(`link ${link} is up already`)
    const fresh = new MeshLink(link, now, this.#options, rssi)
    this.#links.set(link, fresh)
    if (this.#unixOffset === undefined) return
    if (this.#announced === undefined || this.#announced.at + FRESH_ANNOUNCEMENT_MS <= now) this.announce(now)
    else this.#show(this.#announced.bytes, fresh, 0, this.nodeId)
    // what others said of late: so two islands that meet know of each other at once
    const youngest = [...this.#routes.peers()].filter(({ announcement }) => this.#isCurrent(now, announcement.issuedAt))
    for (const peer of youngest.slice(-MAX_SHOWN)) this.#show(peer.bytes, fresh, peer.hops, peer.announcement.node)
  }

  /** A link is gone; what waited for it takes another way. */
  linkDown(now: Millis, link: number): void {
    const gone = this.#links.get(link)
    if (gone === undefined) return
    this.#links.delete(link)
    this.#routes.linkDown(link)
    if (gone.neighbour !== undefined) this.#remember(now, gone.neighbour)
    for (const job of gone.takeAll()) if (!job.isFlood) this.#reroute(now, job, gone.id)
    this.#tellLost(now)
  }

  /** The link's radio takes nothing for now. */
  pauseLink(link: number): void {
    const paused = this.#links.get(link)
    if (paused !== undefined) paused.isPaused = true
  }

  resumeLink(link: number): void {
    const resumed = this.#links.get(link)
    if (resumed !== undefined) resumed.isPaused = false
  }

  /** Signal strength as last heard, dBm. */
  setRssi(link: number, rssi: number): void {
    const heard = this.#links.get(link)
    if (heard !== undefined) heard.rssi = rssi
  }

  /** What the duty cycle allows. @throws ArgumentError below one second. */
  setAnnounceInterval(now: Millis, intervalMs: number): void {
    if (!(intervalMs >= 1_000)) throw new ArgumentError(`an announcement every ${intervalMs} ms`)
    this.#announceIntervalMs = intervalMs
    const latest = now + intervalMs * (1 + ANNOUNCE_JITTER)
    if (this.#announceAt !== undefined && this.#announceAt > latest) this.#announceAt = latest
  }

  /** What our announcements carry from now on, at most 75 bytes. */
  setMore(more: Uint8Array): void {
    this.#more = more.slice()
  }

  /** Tells everybody that we are here, now. */
  announce(now: Millis): void {
    const unixNow = this.#unixNow(now)
    const intervalMs = Math.max(this.#announceIntervalMs, this.#routes.size * this.#options.announceSpacingMs)
    this.#announceAt = now + intervalMs * (1 + ANNOUNCE_JITTER * (2 * this.#components.random.uniform() - 1))
    const { identity, random, staticKey } = this.#components
    // strictly later than the last one, also when the clock was set back a little
    const issuedAt = Math.max(Math.floor(unixNow), (this.#announced?.issuedAt ?? -1) + 1)
    const id = random.bytes(PACKET_ID_BYTES)
    const packet = signAnnouncement(identity, { staticKey: staticKey(unixNow), issuedAt, more: this.#more, id })
    this.#announced = { bytes: this.#floodOwn(now, packet), at: now, issuedAt }
  }

  /**
   * A signed packet for everybody within the hop limit, at most 151 bytes: larger things are named by their hash and
   * fetched. @throws ArgumentError when it is larger.
   */
  broadcast(now: Millis, content: Uint8Array, priority: Priority = Priority.Normal): void {
    const { identity, random } = this.#components
    const id = random.bytes(PACKET_ID_BYTES)
    this.#floodOwn(now, signBroadcast(identity, MeshPacketType.Broadcast, id, content, priority))
  }

  /**
   * Sends a directed packet of ours: over the best way, else flooded, else kept until there is one.
   * @throws ArgumentError when it is no directed packet from us to somebody else, or too long.
   */
  send(now: Millis, packet: MeshPacket): MeshSendResult {
    const { source, destination, id } = packet
    if (destination === undefined || source !== this.nodeId || destination === source) {
      throw new ArgumentError('a directed packet from ourselves to another node')
    }
    const passage = { ttl: this.#options.hopLimit, hopCount: 0, custody: 0, hopAckWanted: false }
    const bytes = encodeMeshPacket(packet, passage)
    const fingerprint = this.#fingerprint(bytes)
    this.#seen.record(now, fingerprint, 0)
    if (packet.type === MeshPacketType.Acknowledgement) return this.#sendBack(now, packet, bytes, fingerprint)
    this.#crumbs.drop(now, fingerprintFromHash(id), undefined, { source, destination, proofWanted: packet.proofWanted })
    return this.#forward(now, packet, this.#job(now, packet, bytes, fingerprint, passage, undefined))
  }

  handleUnixTime(offsetMs: number): void {
    this.#unixOffset = offsetMs
  }

  handleInput(now: Millis, input: MeshDatagram): void {
    const link = this.#links.get(input.link)
    if (link === undefined) return
    const bytes = plainBytes(input.bytes)
    const decoded = decodeMesh(bytes)
    if (decoded?.kind === 'hop-ack') return this.#onHopAck(now, link, decoded.fingerprints)
    if (!link.incoming.take(now)) return this.#fault(now, link, 'rate', 1)
    if (decoded === undefined) return this.#fault(now, link, 'malformed', FORGED_FAULTS)
    const { packet, passage } = decoded
    const fingerprint = this.#fingerprint(bytes)
    if (passage.hopAckWanted) link.oweHopAck(now, fingerprint)
    const isNew = this.#seen.record(now, fingerprint, passage.custody, { link: link.id, hopCount: passage.hopCount })
    // whoever sends a packet has it
    this.#taken(now, link, fingerprint)
    if (!isNew || packet.source === this.nodeId) return this.#onCopy(now, link, packet, passage, fingerprint)
    switch (packet.type) {
      case MeshPacketType.Announcement:
        return this.#onAnnouncement(now, link, packet, passage, bytes, fingerprint)
      case MeshPacketType.Broadcast:
        return this.#onBroadcast(now, link, packet, passage, bytes, fingerprint)
      default:
        return this.#onDirected(now, link, packet, passage, bytes, fingerprint)
    }
  }

  handleTimeout(now: Millis): void {
    for (const link of this.#links.values()) {
      const { again, failed } = link.overdue(now, this.#options.hopRepeats)
      for (const job of again) {
        this.counters.repeated++
        this.#enqueue(now, link, job)
      }
      for (const job of failed) if (!job.isFlood) this.#reroute(now, job, link.id)
    }
    for (const [fingerprint, { job, dueAt }] of this.#pending) {
      if (dueAt > now) continue
      this.#pending.delete(fingerprint)
      this.#flood(now, job)
    }
    for (const [node, at] of this.#handovers) if (at <= now) this.#handOver(now, node)
    for (const crumb of this.#crumbs.expire(now)) {
      if (crumb.proofWanted && !crumb.isProven && crumb.to !== undefined) {
        this.#routes.failed(now, crumb.destination, crumb.to, false)
      }
    }
    if (this.#announceAt !== undefined && this.#announceAt <= now && this.#unixOffset !== undefined) {
      if (this.#links.size > 0) this.announce(now)
      else this.#announceAt = now + this.#announceIntervalMs
      this.#tellLost(now)
    }
  }

  pollOutput(now: Millis): MeshDatagram | undefined {
    for (const link of this.#inTurn()) {
      if (link.isPaused) continue
      const bytes = this.#nextOf(now, link)
      if (bytes === undefined) continue
      this.#served = link.id
      this.counters.transmitted++
      this.counters.transmittedBytes += bytes.length
      return { link: link.id, bytes }
    }
    return undefined
  }

  pollEvent(): MeshEvent | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    let at = this.#announceAt ?? Number.POSITIVE_INFINITY
    if (this.#unixOffset === undefined) at = Number.POSITIVE_INFINITY
    for (const link of this.#links.values()) at = Math.min(at, link.nextTimeout())
    for (const { dueAt } of this.#pending.values()) at = Math.min(at, dueAt)
    for (const handoverAt of this.#handovers.values()) at = Math.min(at, handoverAt)
    at = Math.min(at, this.#crumbs.nextTimeout() ?? at)
    return Number.isFinite(at) ? at : undefined
  }

  // ---- what comes in

  #onHopAck(now: Millis, link: MeshLink, fingerprints: readonly number[]): void {
    let isWanted = false
    for (const fingerprint of fingerprints) {
      if (this.#taken(now, link, fingerprint)) isWanted = true
    }
    // free as long as it answers what we sent
    if (!isWanted && !link.incoming.take(now)) this.#fault(now, link, 'rate', 1)
  }

  /** The neighbour has that packet: it needs no copy, and a kept one has been passed on. */
  #taken(now: Millis, link: MeshLink, fingerprint: number): boolean {
    const job = link.acknowledged(now, fingerprint)
    if (job === undefined) return false
    if (job.isHandover) this.#store.remove(fingerprint)
    return true
  }

  /** A packet that we have had before: it tells where a copy of ours is not needed, or is. */
  #onCopy(now: Millis, link: MeshLink, packet: MeshPacket, passage: MeshPassage, fingerprint: number): void {
    this.counters.duplicates++
    if (packet.source === this.nodeId) return
    const [ttl, hopCount] = [passage.ttl - 1, passage.hopCount + 1]
    const isNearer =
      packet.type === MeshPacketType.Announcement &&
      this.#routes.heardAgain(now, packet.source, fingerprint, { link: link.id, hops: hopCount })
    const pending = this.#pending.get(fingerprint)
    if (pending === undefined) return this.#correct(now, packet.source, fingerprint, isNearer ? undefined : link)
    const { job, dueAt } = pending
    const isRedundant = this.#seen.copies(fingerprint) >= this.#options.cancelAfterCopies
    if (isRedundant && this.#links.size > this.#options.sparseLinks) {
      this.#pending.delete(fingerprint)
      this.counters.cancelled++
    } else if (ttl > job.ttl) {
      // it came a shorter way: ours goes on with more hops left
      this.#pending.set(fingerprint, { job: { ...job, ttl, hopCount }, dueAt })
    }
  }

  /**
   * Neighbours that count two hops more to a node than they have over us are told so, at once, until they have it: the
   * one that just showed it, or, when we are nearer ourselves than we thought, all of them. Without it a packet that
   * crosses a mesh as wide as the hop limit would find detours and end before its destination.
   */
  #correct(now: Millis, node: NodeId, fingerprint: number, only: MeshLink | undefined): void {
    const peer = this.#routes.peer(node)
    if (peer?.fingerprint !== fingerprint || peer.hops >= MAX_HOPS) return
    for (const link of only === undefined ? this.#links.values() : [only]) {
      const theirs = this.#seen.hopsFrom(fingerprint, link.id) ?? Number.POSITIVE_INFINITY
      if (theirs > peer.hops + TOLERATED_DETOUR_HOPS + 1) this.#show(peer.bytes, link, peer.hops, node)
    }
  }

  #onAnnouncement(
    now: Millis,
    link: MeshLink,
    packet: MeshPacket,
    passage: MeshPassage,
    bytes: Uint8Array,
    fingerprint: number,
  ): void {
    const announcement = readAnnouncement(packet)
    if (announcement === undefined) return this.#fault(now, link, 'malformed', FORGED_FAULTS)
    const known = this.#routes.peer(packet.source)
    const isLater = known === undefined || announcement.issuedAt > known.announcement.issuedAt
    if (!isLater || !this.#isCurrent(now, announcement.issuedAt)) return this.#drop('stale')
    if (!link.announcements.take(now)) return this.#drop('rate')
    if (!verifyAnnouncement(this.#components.crypto, packet, announcement)) {
      return this.#fault(now, link, 'forged', FORGED_FAULTS)
    }
    const hops = passage.hopCount + 1
    if (passage.hopCount === 0) link.neighbour = packet.source
    const isNew = this.#routes.announced(
      now,
      announcement,
      { bytes: withoutPassage(bytes), fingerprint },
      { link: link.id, hops },
    )
    this.#events.push({ type: 'peer', announcement, hops, isNew })
    if (this.#store.for(now, packet.source).length > 0) this.#handovers.set(packet.source, now)
    this.#relay(now, packet, passage, bytes, fingerprint, link)
  }

  #onBroadcast(
    now: Millis,
    link: MeshLink,
    packet: MeshPacket,
    passage: MeshPassage,
    bytes: Uint8Array,
    fingerprint: number,
  ): void {
    const known = this.#routes.peer(packet.source)
    if (known === undefined) return this.#drop('unknown-source')
    const content = verifyBroadcast(this.#components.crypto, packet, known.announcement.publicKey)
    if (content === undefined) return this.#fault(now, link, 'forged', FORGED_FAULTS)
    this.counters.delivered++
    const hops = passage.hopCount + 1
    this.#events.push({ type: 'broadcast', source: packet.source, payload: content.slice(), hops })
    this.#relay(now, packet, passage, bytes, fingerprint, link)
  }

  #onDirected(
    now: Millis,
    link: MeshLink,
    packet: MeshPacket,
    passage: MeshPassage,
    bytes: Uint8Array,
    fingerprint: number,
  ): void {
    const { source, destination, id, proofWanted } = packet
    if (destination === undefined) return
    const isProof = packet.type === MeshPacketType.Acknowledgement
    if (isProof && !this.#onProof(now, link, packet, passage)) return
    const hops = passage.hopCount + 1
    if (destination === this.nodeId) {
      if (!isProof) this.#crumbs.drop(now, fingerprintFromHash(id), link.id, { source, destination, proofWanted })
      this.counters.delivered++
      this.#events.push({
        type: 'packet',
        packet: { ...packet, id: id.slice(), payload: packet.payload.slice() },
        hops,
        link: link.id,
      })
      return
    }
    if (passage.ttl === 1) return this.#drop('hop-limit')
    const onward = { ...passage, ttl: passage.ttl - 1, hopCount: passage.hopCount + 1 }
    const job = this.#job(now, packet, bytes.slice(), fingerprint, onward, link)
    if (isProof) {
      const [back] = this.#wayBack(packet)
      if (back !== undefined && back !== link.id) return this.#unicast(now, back, job)
      const route = this.#routes.best(now, destination, (candidate) => candidate === link.id, job.ttl)
      return route === undefined ? this.#drop('no-route') : this.#unicast(now, route.link, job)
    }
    this.#crumbs.drop(now, fingerprintFromHash(id), link.id, { source, destination, proofWanted })
    this.#forward(now, packet, job)
  }

  /** A wrong proof goes no further; a right one says which way works. */
  #onProof(now: Millis, link: MeshLink, packet: MeshPacket, passage: MeshPassage): boolean {
    const hash = this.#components.crypto.sha256(packet.payload.subarray(0, PROOF_BYTES))
    const isRight = packet.payload.length >= PROOF_BYTES && packet.id.every((byte, i) => byte === hash[i])
    if (!isRight) {
      this.#fault(now, link, 'forged', FORGED_FAULTS)
      return false
    }
    const id = fingerprintFromHash(packet.id)
    this.#store.delivered(id)
    const crumb = this.#crumbs.get(id)
    if (crumb === undefined || crumb.destination !== packet.source) return true
    crumb.isProven = true
    this.#routes.confirmed(now, packet.source, link.id, passage.hopCount + 1)
    return true
  }

  // ---- what goes out

  /** The links that the acknowledged packet came in on, as far as they are still there. */
  #wayBack(packet: MeshPacket): number[] {
    const crumb = this.#crumbs.get(fingerprintFromHash(packet.id))
    if (crumb === undefined || crumb.source !== packet.destination) return []
    return crumb.from.filter((from) => this.#links.has(from))
  }

  #sendBack(now: Millis, packet: MeshPacket, bytes: Uint8Array, fingerprint: number): MeshSendResult {
    const passage = { ttl: MAX_HOPS, hopCount: 0, custody: 0, hopAckWanted: false }
    const job = this.#job(now, packet, bytes, fingerprint, passage, undefined)
    const [back = this.#routes.best(now, packet.destination as NodeId)?.link] = this.#wayBack(packet)
    if (back === undefined) {
      this.#drop('no-route')
      return 'dropped'
    }
    this.#unicast(now, back, job)
    return 'routed'
  }

  #job(
    now: Millis,
    packet: MeshPacket,
    bytes: Uint8Array,
    fingerprint: number,
    passage: MeshPassage,
    from: MeshLink | undefined,
  ): Job {
    // so many emergencies are none
    const isDemoted = packet.priority === Priority.Emergency && from?.emergencies.take(now) === false
    return {
      bytes,
      fingerprint,
      priority: isDemoted ? Priority.Normal : packet.priority,
      source: packet.source,
      destination: packet.destination,
      from: from?.id,
      ttl: passage.ttl,
      hopCount: passage.hopCount,
      custody: passage.custody,
      isFlood: packet.destination === undefined || packet.flood,
      tried: new Set(from === undefined ? [] : [from.id]),
      isHandover: false,
      mustArrive: packet.destination !== undefined && !packet.flood,
    }
  }

  /** A directed packet, ours or another's: over the best way that was not tried, else to all, else kept. */
  #forward(now: Millis, packet: Pick<MeshPacket, 'destination'>, job: Job): MeshSendResult {
    const { destination } = packet
    if (destination === undefined || job.isFlood) {
      this.#floodLater(now, job)
      return this.#links.size > 0 ? 'flooded' : this.#keep(now, job)
    }
    const route = this.#routes.best(now, destination, (link) => job.tried.has(link) || !this.#links.has(link), job.ttl)
    if (route !== undefined) {
      this.#unicast(now, route.link, job)
      return 'routed'
    }
    const kept = this.#keep(now, job)
    const hasOthers = [...this.#links.keys()].some((link) => !job.tried.has(link))
    const source = job.from === undefined ? undefined : this.#links.get(job.from)
    if (!hasOthers || (source !== undefined && !source.floods.take(now))) {
      if (kept === 'dropped') this.#drop('no-route')
      return kept
    }
    this.#floodLater(now, { ...job, isFlood: true, isHandover: false, mustArrive: false })
    return 'flooded'
  }

  #unicast(now: Millis, to: number, job: Job): void {
    const link = this.#links.get(to)
    if (link === undefined) return this.#reroute(now, job, to)
    const crumb = this.#crumbs.get(this.#idOf(job))
    if (crumb !== undefined && crumb.destination === job.destination) crumb.to = to
    this.#enqueue(now, link, job)
  }

  /** The neighbour did not take it, or is gone. */
  #reroute(now: Millis, job: Job, link: number): void {
    const { destination } = job
    if (destination === undefined) return
    this.#routes.failed(now, destination, link, true)
    job.tried.add(link)
    if (job.isHandover) return // it is kept still, and goes with the next announcement
    if (job.bytes[1] !== MeshPacketType.Acknowledgement) return void this.#forward(now, { destination }, job)
    const route = this.#routes.best(now, destination, (other) => job.tried.has(other), job.ttl)
    if (route === undefined) this.#drop('no-route')
    else this.#unicast(now, route.link, job)
  }

  #relay(
    now: Millis,
    packet: MeshPacket,
    passage: MeshPassage,
    bytes: Uint8Array,
    fingerprint: number,
    link: MeshLink,
  ): void {
    if (passage.ttl === 1) return // everybody hears it as far as it goes: no fault
    const onward = { ...passage, ttl: passage.ttl - 1, hopCount: passage.hopCount + 1 }
    this.#floodLater(now, this.#job(now, packet, bytes.slice(), fingerprint, onward, link))
  }

  /**
   * Waits for a while, since others may do it; the stronger the signal that brought it, the longer. At least half of the
   * longest wait, so that what comes over fewer hops comes first, and the ways that are learned from it are short.
   */
  #floodLater(now: Millis, job: Job): void {
    const from = job.from === undefined ? undefined : this.#links.get(job.from)
    if (from === undefined) return this.#flood(now, job)
    const crowd = Math.min(1, this.#links.size / DENSE_LINKS)
    const span = this.#options.relayJitterMs * crowd * (0.5 + from.strength / 2)
    const dueAt = now + (span * (1 + this.#components.random.uniform())) / 2
    this.#pending.set(job.fingerprint, { job, dueAt })
  }

  #flood(now: Millis, job: Job): void {
    for (const link of this.#links.values()) {
      if (job.tried.has(link.id) || this.#isServed(job, link)) continue
      this.#enqueue(now, link, job)
    }
  }

  /** A copy came from there: ours is of no use, unless it is an announcement that says that we are nearer. */
  #isServed(job: Job, link: MeshLink): boolean {
    const theirs = this.#seen.hopsFrom(job.fingerprint, link.id)
    if (theirs === undefined) return false
    return job.bytes[1] !== MeshPacketType.Announcement || theirs <= job.hopCount + 1
  }

  #floodOwn(now: Millis, packet: MeshPacket): Uint8Array {
    const passage = { ttl: this.#options.hopLimit, hopCount: 0, custody: 0, hopAckWanted: false }
    const bytes = encodeMeshPacket(packet, passage)
    const fingerprint = this.#fingerprint(bytes)
    this.#seen.record(now, fingerprint, 0)
    this.#flood(now, this.#job(now, packet, bytes, fingerprint, passage, undefined))
    return bytes
  }

  /** An announcement for one new neighbour alone. */
  #show(bytes: Uint8Array, link: MeshLink, hopCount: number, source: NodeId): void {
    const ttl = Math.min(this.#options.hopLimit, MAX_HOPS - hopCount)
    if (ttl < 1) return
    const dropped = link.queue.push({
      bytes: bytes.slice(),
      fingerprint: this.#fingerprint(bytes),
      priority: Priority.High,
      source,
      destination: undefined,
      from: undefined,
      ttl,
      hopCount,
      custody: 0,
      isFlood: true,
      tried: new Set(),
      isHandover: false,
      mustArrive: true,
    })
    if (dropped !== undefined) this.#drop('queue')
  }

  #enqueue(now: Millis, link: MeshLink, job: Job): void {
    const dropped = link.queue.push(job)
    if (dropped === undefined) return
    link.forget(dropped.fingerprint)
    this.#drop('queue')
    if (!dropped.isFlood && dropped.bytes[1] === MeshPacketType.Data) this.#keep(now, dropped)
  }

  *#inTurn(): Generator<MeshLink> {
    const served = this.#served
    let isAfter = served === undefined || !this.#links.has(served)
    if (!isAfter) {
      for (const link of this.#links.values()) {
        if (isAfter) yield link
        else if (link.id === served) isAfter = true
      }
    }
    for (const link of this.#links.values()) {
      yield link
      if (link.id === served) return
    }
  }

  #nextOf(now: Millis, link: MeshLink): Uint8Array | undefined {
    const hopAck = link.takeHopAck(now)
    if (hopAck !== undefined) {
      this.counters.hopAcks++
      return hopAck
    }
    for (let job; (job = link.takeJob(now)) !== undefined;) {
      // it came from there while it waited here
      if (job.isFlood && this.#isServed(job, link)) {
        link.forget(job.fingerprint)
        this.counters.cancelled++
        continue
      }
      const isRepeated = job.mustArrive || this.#links.size <= this.#options.sparseLinks
      const hopAckWanted = isRepeated && link.sent(now, job)
      if (job.from !== undefined) this.counters.relayed++
      if (job.isHandover) this.counters.handedOver++
      const bytes = job.bytes.slice()
      setPassage(bytes, { ttl: job.ttl, hopCount: job.hopCount, custody: job.custody, hopAckWanted })
      return bytes
    }
    return undefined
  }

  // ---- packets for absent nodes

  /** Ours, those of our neighbours, those that were kept before, and those for a node that was our neighbour of late. */
  #keep(now: Millis, job: Job): MeshSendResult {
    const { destination, source, fingerprint, bytes, custody } = job
    const former = destination === undefined ? undefined : this.#formerNeighbours.get(destination)
    const isNear = job.from === undefined || job.hopCount === 1 || custody > 0
    const isLikely = former !== undefined && former + FORMER_NEIGHBOUR_MS > now
    const isData = bytes[1] === MeshPacketType.Data
    if (destination === undefined || !isData || custody >= MAX_CUSTODY || !(isNear || isLikely)) return 'dropped'
    const id = this.#idOf(job)
    const isKept = this.#store.keep({ fingerprint, id, source, destination, bytes: bytes.slice(), custody, at: now })
    return isKept ? 'stored' : 'dropped'
  }

  /** A portion of what is kept for a node that can be reached again. */
  #handOver(now: Millis, node: NodeId): void {
    this.#handovers.delete(node)
    const route = this.#routes.best(now, node)
    const link = route && this.#links.get(route.link)
    if (link === undefined) return
    const waiting = this.#store.for(now, node).filter(({ fingerprint }) => !link.isUnacknowledged(fingerprint))
    for (const { fingerprint, source, bytes, custody } of waiting.slice(0, HANDOVER_PACKETS)) {
      const job: Job = {
        bytes: bytes.slice(),
        fingerprint,
        priority: Priority.Normal,
        source,
        destination: node,
        from: undefined,
        ttl: this.#options.hopLimit,
        hopCount: 0,
        custody: custody + 1,
        isFlood: false,
        tried: new Set(),
        isHandover: true,
        mustArrive: true,
      }
      this.#seen.record(now, fingerprint, custody + 1)
      this.#enqueue(now, link, job)
    }
    if (waiting.length > 0) this.#handovers.set(node, now + HANDOVER_INTERVAL_MS)
  }

  #remember(now: Millis, neighbour: NodeId): void {
    this.#formerNeighbours.delete(neighbour)
    this.#formerNeighbours.set(neighbour, now)
    if (this.#formerNeighbours.size <= MAX_FORMER_NEIGHBOURS) return
    for (const oldest of this.#formerNeighbours.keys()) {
      this.#formerNeighbours.delete(oldest)
      return
    }
  }

  // ---- the rest

  #tellLost(now: Millis): void {
    for (const node of this.#routes.expire(now)) this.#events.push({ type: 'peer-lost', node })
  }

  #isCurrent(now: Millis, issuedAt: number): boolean {
    return this.#unixOffset !== undefined && Math.abs(this.#unixNow(now) - issuedAt) <= MAX_ANNOUNCEMENT_SKEW_MS
  }

  #unixNow(now: Millis): number {
    if (this.#unixOffset === undefined) throw new ArgumentError('handleUnixTime comes first')
    return now + this.#unixOffset
  }

  #fingerprint(bytes: Uint8Array): number {
    return fingerprintFromHash(this.#components.crypto.sha256(withoutPassage(bytes)))
  }

  #idOf(job: Job): number {
    const end = job.destination === undefined ? 29 : 45
    return fingerprintFromHash(job.bytes.subarray(end - PACKET_ID_BYTES, end))
  }

  #drop(reason: MeshDropReason): void {
    this.counters.dropped[reason]++
  }

  #fault(now: Millis, link: MeshLink, reason: MeshDropReason, weight: number): void {
    this.#drop(reason)
    if (link.isAbused || link.faults.take(now, weight)) return
    link.isAbused = true
    this.#events.push({ type: 'link-abuse', link: link.id })
  }
}

/** What can be asked of a link. */
export type MeshLinkView = Pick<MeshLink, 'id' | 'neighbour' | 'rssi' | 'lossRatio'>
