import { type Bytes, type Millis, type Priority, priorities, varintLength, writeVarint } from '@aiv/transport-api'
import type { BufferPool } from './buffer-pool.js'
import type { PacketQueues, QueuedPacket } from './packet-queues.js'
import { QUEUED_PACKET_BYTES } from './packet-queues.js'
import type { QuicStreams } from './quic-engine.js'
import { DATAGRAM_PACKET, GATHERED_BYTES, MAX_HEAD_BYTES, writeHead } from './stream-format.js'

/** Streams of our own that only we write to: RFC 9000 section 2.1. */
const FIRST_UNI = { dialled: 2, accepted: 3 } as const

/** A stream that is being written. */
interface OutgoingStream {
  readonly id: number
  readonly pieces: readonly Uint8Array[]
  /** Lent by the pool, given back when the stream is written. */
  readonly buffer: Uint8Array
  /** What its packets are counted for in the queue. */
  readonly cost: number
  readonly bytes: number
  readonly packets: readonly QueuedPacket[]
  piece: number
  offset: number
}

/**
 * Queued packets into streams: what waits at one priority goes into one stream, up to {@link GATHERED_BYTES}, then that
 * stream ends. One stream per priority is written at a time, so that they are begun in order. A state machine: it is
 * pumped whenever packets or credit may have come.
 */
export class PacketSender {
  readonly #queues: PacketQueues
  readonly #buffers: BufferPool
  readonly #onSent: (tag: number) => void
  readonly #current: [
    OutgoingStream | undefined,
    OutgoingStream | undefined,
    OutgoingStream | undefined,
    OutgoingStream | undefined,
  ] = [undefined, undefined, undefined, undefined]
  /** How many of {@link #current} there are. */
  #writing = 0
  readonly #order: [number, number, number, number] = [0, 0, 0, 0]
  #nextStream: number
  #streamsLeft = 0
  /** Streams written to their end and not yet acknowledged, oldest first; bounded by the credit for streams. */
  #undelivered: { readonly id: number; readonly bytes: number }[] = []
  #undeliveredBytes = 0
  /** Early packets and what followed them, until it is clear that they need not be sent again. */
  #kept: { readonly priority: Priority; readonly packet: QueuedPacket }[] | undefined
  #earlyBytes = 0
  /** The first stream after the handshake: once it is acknowledged, early data was not refused. */
  #firstLate = Infinity

  constructor(
    direction: 'dialled' | 'accepted',
    queues: PacketQueues,
    buffers: BufferPool,
    onSent: (tag: number) => void,
  ) {
    this.#nextStream = FIRST_UNI[direction]
    this.#queues = queues
    this.#buffers = buffers
    this.#onSent = onSent
  }

  /** Nothing is left to hand to the engine. */
  get isIdle(): boolean {
    return this.#writing === 0 && this.#queues.isEmpty
  }

  /**
   * Writes what the engine takes. True when it took anything.
   * @param opening - while data is early: what the first stream has to open with, and only packets that may be repeated go.
   */
  pump(now: Millis, streams: QuicStreams, opening?: EarlyAllowance): boolean {
    let wrote = false
    if (this.isIdle) return wrote
    for (const priority of priorities) {
      for (;;) {
        const stream = this.#current[priority] ?? this.#open(now, priority, streams, opening)
        if (stream === undefined) break
        if (stream === 'datagram') {
          wrote = true
          continue
        }
        this.#setCurrent(priority, stream)
        const before = stream.piece + stream.offset
        const done = this.#write(stream, streams)
        if (done || stream.piece + stream.offset !== before) wrote = true
        if (!done) break
        this.#finish(priority, stream)
      }
    }
    return wrote
  }

  /** Bytes that the engine took and the other side has not acknowledged, about. */
  unconfirmedBytes(streams: QuicStreams): number {
    this.confirm(streams)
    return this.#undeliveredBytes
  }

  /** True when all that was written has been acknowledged. */
  confirm(streams: QuicStreams): boolean {
    let done = 0
    for (const { id, bytes } of this.#undelivered) {
      if (!streams.isDelivered(id)) break
      if (id >= this.#firstLate) this.#kept = undefined
      this.#undeliveredBytes -= bytes
      done++
    }
    if (done > 0) this.#undelivered.splice(0, done)
    return this.#undelivered.length === 0
  }

  /** Early data goes out from here on, and is kept in case it is refused. */
  beginEarly(): void {
    this.#kept = []
  }

  /** The handshake is done; a refusal may still be on its way. */
  endEarly(): void {
    this.#firstLate = this.#nextStream
  }

  /** Whether {@link restart} would lose nothing. */
  get canRestart(): boolean {
    return this.#kept !== undefined
  }

  /** A new session takes the place of one whose early data was refused: everything goes again, in its order. */
  restart(): void {
    const kept = this.#kept ?? []
    this.#kept = undefined
    for (const priority of priorities) {
      const stream = this.#current[priority]
      if (stream !== undefined) this.#finish(priority, stream)
      const again = kept.filter((one) => one.priority === priority).map(({ packet }) => packet)
      this.#queues.putBack(priority, again)
      this.#order[priority] = 0
    }
    this.#nextStream = FIRST_UNI.dialled
    this.#streamsLeft = 0
    this.#undelivered = []
    this.#undeliveredBytes = 0
  }

  /** Gives lent buffers back; nothing may be called after it but getters. */
  release(): void {
    for (const priority of priorities) {
      const stream = this.#current[priority]
      if (stream !== undefined) this.#buffers.give(stream.buffer)
      this.#setCurrent(priority, undefined)
    }
  }

  #open(
    now: Millis,
    priority: Priority,
    streams: QuicStreams,
    opening: EarlyAllowance | undefined,
  ): OutgoingStream | 'datagram' | undefined {
    const first = this.#queues.peek(now, priority)
    if (first === undefined || !this.#mayGo(first, opening)) return undefined
    if (first.datagram) return this.#sendDatagram(priority, first, streams) ? 'datagram' : undefined
    if (this.#streamsLeft === 0) this.#streamsLeft = streams.streamsLeft('uni')
    if (this.#streamsLeft === 0) return undefined
    this.#streamsLeft--
    const id = this.#nextStream
    this.#nextStream += 4
    streams.prioritise(id, priority, false)
    const buffer = this.#buffers.take()
    const start = opening?.takeOpening()
    if (start !== undefined) buffer.set(start)
    const end = writeHead(buffer, start?.length ?? 0, { priority, order: this.#order[priority]++ })
    return first.length + 2 * MAX_HEAD_BYTES + end > GATHERED_BYTES
      ? this.#large(id, priority, first, buffer, end)
      : this.#gather(now, id, priority, buffer, end, opening)
  }

  /** Whether it may go now; early packets are kept for the case that they are refused. */
  #mayGo(packet: QueuedPacket, opening: EarlyAllowance | undefined): boolean {
    if (opening === undefined) return true
    if (packet.datagram || !packet.repeatable) return false
    return this.#earlyBytes + packet.length <= opening.maxBytes
  }

  #take(priority: Priority, packet: QueuedPacket): void {
    this.#queues.shift(priority)
    this.#earlyBytes += packet.length
    this.#kept?.push({ priority, packet })
  }

  #large(id: number, priority: Priority, packet: QueuedPacket, buffer: Uint8Array, head: number): OutgoingStream {
    const end = writeVarint(buffer, head, packet.length)
    this.#take(priority, packet)
    const body: readonly Uint8Array[] = packet.bytes instanceof Uint8Array ? [packet.bytes] : packet.bytes
    const pieces = [buffer.subarray(0, end), ...body.filter(({ length }) => length > 0)]
    const cost = packet.length + QUEUED_PACKET_BYTES
    return { id, pieces, buffer, cost, bytes: packet.length, packets: [packet], piece: 0, offset: 0 }
  }

  #gather(
    now: Millis,
    id: number,
    priority: Priority,
    buffer: Uint8Array,
    head: number,
    opening: EarlyAllowance | undefined,
  ): OutgoingStream {
    const packets: QueuedPacket[] = []
    let end = head
    let cost = 0
    for (let packet; (packet = this.#queues.peek(now, priority)) !== undefined;) {
      if (packet.datagram || !this.#mayGo(packet, opening)) break
      if (end + varintLength(packet.length) + packet.length > GATHERED_BYTES) break
      this.#take(priority, packet)
      packets.push(packet)
      end = copy(packet.bytes, buffer, writeVarint(buffer, end, packet.length))
      cost += packet.length + QUEUED_PACKET_BYTES
    }
    return { id, pieces: [buffer.subarray(0, end)], buffer, cost, bytes: end, packets, piece: 0, offset: 0 }
  }

  #sendDatagram(priority: Priority, packet: QueuedPacket, streams: QuicStreams): boolean {
    const buffer = this.#buffers.take()
    buffer[0] = DATAGRAM_PACKET
    const end = copy(packet.bytes, buffer, 1)
    const taken = streams.sendDatagram(buffer.subarray(0, end))
    this.#buffers.give(buffer)
    if (!taken) return false
    this.#queues.shift(priority)
    this.#queues.release(priority, packet.length + QUEUED_PACKET_BYTES)
    this.#name(packet)
    return true
  }

  /** True when the engine has all of it. */
  #write(stream: OutgoingStream, streams: QuicStreams): boolean {
    const last = stream.pieces.length - 1
    while (stream.piece <= last) {
      const piece = stream.pieces[stream.piece] as Uint8Array
      const rest = stream.offset === 0 ? piece : piece.subarray(stream.offset)
      const taken = streams.write(stream.id, rest, stream.piece === last)
      // Nobody reads it any more: the other side is closing, or wrong; either ends the connection elsewhere
      if (taken < 0) return true
      stream.offset += taken
      if (stream.offset < piece.length) return false
      stream.piece++
      stream.offset = 0
    }
    return true
  }

  #setCurrent(priority: Priority, stream: OutgoingStream | undefined): void {
    this.#writing += Number(stream !== undefined) - Number(this.#current[priority] !== undefined)
    this.#current[priority] = stream
  }

  #finish(priority: Priority, stream: OutgoingStream): void {
    this.#setCurrent(priority, undefined)
    this.#queues.release(priority, stream.cost)
    this.#buffers.give(stream.buffer)
    this.#undelivered.push({ id: stream.id, bytes: stream.bytes })
    this.#undeliveredBytes += stream.bytes
    for (const packet of stream.packets) this.#name(packet)
  }

  #name(packet: QueuedPacket): void {
    if (packet.tag === undefined) return
    const { tag } = packet
    packet.tag = undefined
    this.#onSent(tag)
  }
}

/** What may be sent before the handshake is done. */
export interface EarlyAllowance {
  readonly maxBytes: number
  /** What the very first stream opens with; `undefined` from then on. */
  takeOpening(): Uint8Array | undefined
}

function copy(bytes: Bytes, target: Uint8Array, offset: number): number {
  if (bytes instanceof Uint8Array) {
    target.set(bytes, offset)
    return offset + bytes.length
  }
  for (const piece of bytes) {
    target.set(piece, offset)
    offset += piece.length
  }
  return offset
}
