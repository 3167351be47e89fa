import type { Millis, NodeId } from '@aiv/transport-api'
import { FairQueue, type Queued } from './fair-queue.js'
import { MAX_HOP_ACKS, encodeHopAck } from './mesh-packet.js'
import type { VerifiedMeshOptions } from './mesh-options.js'
import { TokenBucket } from './token-bucket.js'

/** A packet that we send or pass on, over one link or several. */
export interface Job extends Queued {
  /** Of our own copy; the passage is set anew for each link. */
  readonly bytes: Uint8Array
  readonly fingerprint: number
  readonly ttl: number
  readonly hopCount: number
  readonly custody: number
  readonly destination: NodeId | undefined
  /** Goes to every neighbour that has no copy. */
  readonly isFlood: boolean
  /** Links that it must not go to, or that did not take it. */
  readonly tried: Set<number>
  /** Repeated until the neighbour acknowledges it; else only where neighbours are few. */
  readonly mustArrive: boolean
  /** Out of the store: it stays there until the neighbour has it. */
  readonly isHandover: boolean
}

/** A job that was sent and that the neighbour has not acknowledged. */
interface Unacknowledged {
  readonly job: Job
  sentAt: Millis
  dueAt: Millis
  repeats: number
  isQueued: boolean
}

/** We send a little less than a neighbour takes, since what we send evenly arrives unevenly. */
const OWN_RATE_SHARE = 0.9
/** Hop acknowledgements are gathered for this long, in ms. */
const HOP_ACK_DELAY_MS = 10
/** Bounds of the time after which a packet is sent again on a link, in ms, and that of a link nothing is known of. */
const MIN_REPEAT_MS = 60
const MAX_REPEAT_MS = 2_000
const FIRST_REPEAT_MS = 300
/** Gains of RFC 6298, and that of the share of losses. */
const RTT_GAIN = 1 / 8
const VARIANCE_GAIN = 1 / 4
const LOSS_GAIN = 1 / 16
/** Faults (malformed, forged, too many) that a neighbour may commit: per second, and at once. */
const FAULTS = { perSecond: 5, burst: 100 }
const EMERGENCIES = { perSecond: 10, burst: 20 }
/** A loss of all packets makes a link worth this many hops less; so does a signal at the edge of what is received. */
const LOSS_HOPS = 4
const WEAK_HOPS = 1
const STRONG_DBM = -50
const WEAK_DBM = -90

/** What a mesh knows of one link: queue, rates, quality, and what the neighbour has not acknowledged. */
export class MeshLink {
  readonly queue: FairQueue<Job>
  /** The neighbour's packets; its announcements before they are verified; its packets that we have to flood. */
  readonly incoming: TokenBucket
  readonly announcements: TokenBucket
  readonly floods: TokenBucket
  readonly faults: TokenBucket
  readonly emergencies: TokenBucket
  /** Who announced himself over it without a hop between. */
  neighbour: NodeId | undefined
  isPaused = false
  isAbused = false
  rssi: number | undefined
  readonly #outgoing: TokenBucket
  readonly #maxUnacknowledged: number
  readonly #unacknowledged = new Map<number, Unacknowledged>()
  #hopAcks: number[] = []
  #hopAcksDueAt: Millis | undefined
  #rtt: number | undefined
  #rttVariance = 0
  #loss = 0

  constructor(
    readonly id: number,
    now: Millis,
    options: VerifiedMeshOptions,
    rssi: number | undefined,
  ) {
    const { linkPacketsPerSecond: perSecond, linkBurst: burst } = options
    this.queue = new FairQueue(options.maxQueuedPackets)
    this.incoming = new TokenBucket(now, { perSecond, burst })
    this.#outgoing = new TokenBucket(now, {
      perSecond: perSecond * OWN_RATE_SHARE,
      burst: Math.max(1, burst * OWN_RATE_SHARE),
    })
    this.announcements = new TokenBucket(now, {
      perSecond: options.announcementsPerSecond,
      burst: options.announcementsPerSecond * 10,
    })
    this.floods = new TokenBucket(now, { perSecond: options.floodsPerSecond, burst: options.floodsPerSecond * 4 })
    this.faults = new TokenBucket(now, FAULTS)
    this.emergencies = new TokenBucket(now, EMERGENCIES)
    this.#maxUnacknowledged = options.maxUnacknowledged
    this.rssi = rssi
  }

  /** 0 (at the edge of what is received) to 1 (near). */
  get strength(): number {
    if (this.rssi === undefined) return 0.5
    return Math.min(1, Math.max(0, (this.rssi - WEAK_DBM) / (STRONG_DBM - WEAK_DBM)))
  }

  /** In hops, to be added to those of a way over it. */
  get cost(): number {
    return this.#loss * LOSS_HOPS + (1 - this.strength) * WEAK_HOPS
  }

  /** Share of packets that the neighbour did not acknowledge at once. */
  get lossRatio(): number {
    return this.#loss
  }

  get unacknowledged(): number {
    return this.#unacknowledged.size
  }

  /** The neighbour wants to know that we have that packet. */
  oweHopAck(now: Millis, fingerprint: number): void {
    if (this.#hopAcks.includes(fingerprint)) return
    this.#hopAcks.push(fingerprint)
    this.#hopAcksDueAt ??= now + HOP_ACK_DELAY_MS
    if (this.#hopAcks.length >= MAX_HOP_ACKS) this.#hopAcksDueAt = now
  }

  /** The gathered acknowledgements, when it is time. */
  takeHopAck(now: Millis): Uint8Array | undefined {
    if (this.#hopAcksDueAt === undefined || this.#hopAcksDueAt > now) return undefined
    const fingerprints = this.#hopAcks.splice(0, MAX_HOP_ACKS)
    this.#hopAcksDueAt = this.#hopAcks.length > 0 ? now : undefined
    return encodeHopAck(fingerprints)
  }

  /** The next job, when the rate allows one. */
  takeJob(now: Millis): Job | undefined {
    return this.queue.size > 0 && this.#outgoing.take(now) ? this.queue.shift() : undefined
  }

  /** A job leaves for this link. True when it will be repeated until it is acknowledged; false: there are too many. */
  sent(now: Millis, job: Job): boolean {
    const known = this.#unacknowledged.get(job.fingerprint)
    if (known === undefined && this.#unacknowledged.size >= this.#maxUnacknowledged) return false
    const repeats = known?.repeats ?? 0
    const dueAt = now + this.#repeatAfterMs() * 2 ** Math.min(repeats, 4)
    this.#unacknowledged.set(job.fingerprint, { job, sentAt: now, dueAt, repeats, isQueued: false })
    return true
  }

  /** The neighbour has it: it said so, or sent us a copy. Gives the job when there was one. */
  acknowledged(now: Millis, fingerprint: number): Job | undefined {
    const entry = this.#unacknowledged.get(fingerprint)
    if (entry === undefined) return undefined
    this.#unacknowledged.delete(fingerprint)
    // Karn: a repeated one says nothing about the round trip
    if (entry.repeats === 0) this.#measured(now - entry.sentAt)
    this.#loss -= this.#loss * LOSS_GAIN
    return entry.job
  }

  isUnacknowledged(fingerprint: number): boolean {
    return this.#unacknowledged.has(fingerprint)
  }

  /** Those to be sent again, and those that were given up after `maxRepeats`. */
  overdue(now: Millis, maxRepeats: number): { readonly again: Job[]; readonly failed: Job[] } {
    const [again, failed]: [Job[], Job[]] = [[], []]
    for (const [fingerprint, entry] of this.#unacknowledged) {
      if (entry.isQueued || entry.dueAt > now) continue
      this.#loss += (1 - this.#loss) * LOSS_GAIN
      if (entry.repeats >= maxRepeats) {
        this.#unacknowledged.delete(fingerprint)
        failed.push(entry.job)
      } else {
        entry.repeats++
        entry.isQueued = true
        again.push(entry.job)
      }
    }
    return { again, failed }
  }

  /** The link is gone: what was not acknowledged, and what waits. */
  takeAll(): Job[] {
    const jobs = [...this.#unacknowledged.values()].filter(({ isQueued }) => !isQueued).map(({ job }) => job)
    for (let job; (job = this.queue.shift()) !== undefined;) jobs.push(job)
    this.#unacknowledged.clear()
    return jobs
  }

  /** A job was dropped from the queue and will not be sent. */
  forget(fingerprint: number): void {
    this.#unacknowledged.delete(fingerprint)
  }

  nextTimeout(): Millis {
    let at = Number.POSITIVE_INFINITY
    for (const { dueAt, isQueued } of this.#unacknowledged.values()) if (!isQueued && dueAt < at) at = dueAt
    if (this.isPaused) return at
    if (this.#hopAcksDueAt !== undefined) at = Math.min(at, this.#hopAcksDueAt)
    if (this.queue.size > 0) at = Math.min(at, this.#outgoing.readyAt)
    return at
  }

  #repeatAfterMs(): number {
    if (this.#rtt === undefined) return FIRST_REPEAT_MS
    return Math.min(MAX_REPEAT_MS, Math.max(MIN_REPEAT_MS, this.#rtt + 4 * this.#rttVariance))
  }

  #measured(sampleMs: number): void {
    if (this.#rtt === undefined) {
      this.#rtt = sampleMs
      this.#rttVariance = sampleMs / 2
    } else {
      this.#rttVariance += VARIANCE_GAIN * (Math.abs(this.#rtt - sampleMs) - this.#rttVariance)
      this.#rtt += RTT_GAIN * (sampleMs - this.#rtt)
    }
  }
}
