import type { Millis } from '@aiv/transport-api'
import { FrameAssembler } from './frame-assembler.js'
import { TokenBucket } from '../../token-bucket.js'
import type { PeerId } from './peer-id.js'

/** A link as its radio reports it. */
export interface CompatibleLink {
  /** Unique among links that are up. */
  readonly id: number
  /** What one write takes at most, in bytes. */
  readonly maxPacketBytes: number
}

/** All that is known of one link. */
export class LinkState {
  readonly id: number
  maxPacketBytes: number
  readonly assembler: FrameAssembler
  readonly packets: TokenBucket
  readonly pings: TokenBucket
  readonly syncs: TokenBucket
  readonly handshakes: TokenBucket
  /** Peers whose announcements come here first, with a full TTL: neighbours over this link. */
  readonly neighbours = new Set<PeerId>()
  /** Peers whose announcements come here with a full TTL as a copy: this is their second link. */
  readonly copies = new Set<PeerId>()
  /** Our last request for synchronisation. */
  requestedAt: Millis | undefined
  /** The next one. */
  syncAt: Millis
  filesAt: Millis
  blocked = false
  readonly #maxQueued: number
  readonly #queue: Uint8Array[] = []

  constructor(
    now: Millis,
    { id, maxPacketBytes }: CompatibleLink,
    limits: {
      readonly maxFrameBytes: number
      readonly maxQueuedFrames: number
      readonly packetsPerSecond: number
      readonly packetBurst: number
      readonly handshakesPerMinute: number
      readonly syncDelayMs: number
      readonly fileSyncMs: number
    },
  ) {
    this.id = id
    this.maxPacketBytes = maxPacketBytes
    this.assembler = new FrameAssembler(limits.maxFrameBytes)
    this.packets = new TokenBucket(now, { perSecond: limits.packetsPerSecond, burst: limits.packetBurst })
    this.pings = new TokenBucket(now, { perSecond: 0.5, burst: 5 })
    this.syncs = new TokenBucket(now, { perSecond: 8 / 30, burst: 8 })
    const perSecond = limits.handshakesPerMinute / 60
    this.handshakes = new TokenBucket(now, { perSecond, burst: limits.handshakesPerMinute })
    this.#maxQueued = limits.maxQueuedFrames
    this.syncAt = now + limits.syncDelayMs
    this.filesAt = now + limits.fileSyncMs
  }

  /** Cut to what one write takes: the other side reads a stream. False: the queue is full, and nothing is taken. */
  push(frame: Uint8Array): boolean {
    const pieces = Math.ceil(frame.length / this.maxPacketBytes)
    if (this.#queue.length + pieces > this.#maxQueued) return false
    for (let at = 0; at < frame.length; at += this.maxPacketBytes) {
      // each write owns its buffer
      this.#queue.push(frame.slice(at, at + this.maxPacketBytes))
    }
    return true
  }

  shift(): Uint8Array | undefined {
    return this.blocked ? undefined : this.#queue.shift()
  }
}
