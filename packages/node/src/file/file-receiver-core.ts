import { toHex, type Millis, type NodeId } from '@aiv/transport-api'
import type { FileErrorCode } from '../errors.js'
import {
  decodeFileRequest,
  encodeAnswer,
  MAX_PIECE_BYTES,
  type FileOffer,
  type FileRequest,
  type FileStatus,
} from './file-protocol.js'

export interface FileReceiverCoreOptions {
  /** Largest file taken, in bytes. @defaultValue 64 GiB */
  readonly maxFileBytes?: number
  /** Transfers at the same time; one more is answered FILE_BUSY. @defaultValue 16 */
  readonly maxTransfers?: number
  /** Of these, from one node. @defaultValue 4 */
  readonly maxTransfersPerNode?: number
  /** Bytes of one transfer that wait for the disk; above it the sender is told to wait. @defaultValue 16 MiB */
  readonly maxPendingBytes?: number
  /** A transfer of which nothing is heard for so long is closed; what arrived is kept. In ms. @defaultValue 120,000 */
  readonly idleTimeoutMs?: number
  /** Ended transfers that are remembered, so that a repeated question gets its answer. @defaultValue 1,024 */
  readonly maxEnded?: number
  /** Longest that an offer is left unanswered while the disk works on it, in ms. @defaultValue 2,000 */
  readonly offerAnswerMs?: number
  /** The user's say; false answers FILE_REFUSED. */
  readonly accept?: (offer: FileOffer, from: NodeId) => boolean
}

/** Names one transfer: who sends it and which attempt it is. */
export type TransferKey = string

/** What the shell is to do, for one transfer in this order. */
export type ReceiverAction =
  | { readonly type: 'answer'; readonly token: number; readonly bytes: Uint8Array }
  | { readonly type: 'open'; readonly key: TransferKey; readonly from: NodeId; readonly offer: FileOffer }
  | { readonly type: 'write'; readonly key: TransferKey; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly type: 'finish'; readonly key: TransferKey }
  | { readonly type: 'close'; readonly key: TransferKey; readonly keep: boolean }
  | { readonly type: 'arrived'; readonly key: TransferKey; readonly length: number; readonly received: number }
  | { readonly type: 'ended'; readonly key: TransferKey; readonly status: 'done' | FileErrorCode }

interface Transfer {
  readonly key: TransferKey
  readonly from: NodeId
  readonly offer: FileOffer
  state: 'opening' | 'open' | 'finishing'
  /** On the disk. */
  have: number
  /** On the disk or waiting for it. */
  accepted: number
  readonly pending: { readonly token: number; readonly length: number }[]
  /** Requests that are answered when the transfer ends. */
  readonly held: number[]
  waitingOffer: { readonly token: number; readonly until: Millis } | undefined
  lastHeardAt: Millis
}

/**
 * Receives files from everybody: who may send what, in which order bytes go to the disk, what each question is answered
 * with. The disk's work is done by the shell, which reports back. Bytes are taken in order only, so that the hash of
 * the file grows with it.
 */
export class FileReceiverCore {
  readonly #options: Required<Omit<FileReceiverCoreOptions, 'accept'>>
  readonly #accept: (offer: FileOffer, from: NodeId) => boolean
  readonly #transfers = new Map<TransferKey, Transfer>()
  readonly #ended = new Map<TransferKey, { readonly status: 'done' | 'FILE_SUPERSEDED'; readonly size: number }>()
  readonly #actions: ReceiverAction[] = []

  constructor(options: FileReceiverCoreOptions = {}) {
    this.#accept = options.accept ?? (() => true)
    this.#options = {
      maxFileBytes: options.maxFileBytes ?? 68_719_476_736,
      maxTransfers: options.maxTransfers ?? 16,
      maxTransfersPerNode: options.maxTransfersPerNode ?? 4,
      maxPendingBytes: options.maxPendingBytes ?? 16_777_216,
      idleTimeoutMs: options.idleTimeoutMs ?? 120_000,
      maxEnded: options.maxEnded ?? 1024,
      offerAnswerMs: options.offerAnswerMs ?? 2000,
    }
  }

  /** Transfers that are open. */
  get transfers(): number {
    return this.#transfers.size
  }

  /** A request from `from`; it is answered under `token`, now or later. `message` belongs to the core. */
  handleRequest(now: Millis, from: NodeId, token: number, message: Uint8Array): void {
    const request = decodeFileRequest(message)
    if (request === undefined) return this.#answer(token, 'FILE_MALFORMED', 0)
    const key = `${from}-${toHex(request.transfer)}`
    const ended = this.#ended.get(key)
    if (ended !== undefined) return this.#answer(token, ended.status, ended.size)
    const transfer = this.#transfers.get(key)
    if (transfer !== undefined) transfer.lastHeardAt = now
    if (request.type === 'offer') {
      if (transfer === undefined) this.#open(now, key, from, token, request)
      else this.#offerAgain(now, transfer, token)
    } else if (transfer === undefined) {
      this.#answer(token, 'FILE_UNKNOWN', 0)
    } else if (request.type === 'cancel') {
      this.#end(transfer, 'FILE_ABORTED', 'keep')
      this.#answer(token, 'ok', transfer.have)
    } else {
      this.#take(transfer, token, request)
    }
  }

  /** The partial file is open and its first `have` bytes are hashed. */
  handleOpened(now: Millis, key: TransferKey, have: number): void {
    const transfer = this.#transfers.get(key)
    if (transfer === undefined) return
    transfer.state = 'open'
    transfer.have = have
    transfer.accepted = have
    transfer.lastHeardAt = now
    if (have >= transfer.offer.size) return this.#finish(transfer)
    this.#answerOffer(transfer, 'ok')
  }

  /** The oldest write of this transfer is done. */
  handleWritten(now: Millis, key: TransferKey): void {
    const transfer = this.#transfers.get(key)
    const piece = transfer?.pending.shift()
    if (transfer === undefined || piece === undefined) return
    transfer.lastHeardAt = now
    transfer.have += piece.length
    if (transfer.have < transfer.offer.size) return this.#answer(piece.token, 'ok', transfer.have)
    transfer.held.push(piece.token)
    this.#finish(transfer)
  }

  /** Verified and in its place. */
  handleFinished(key: TransferKey): void {
    const transfer = this.#transfers.get(key)
    if (transfer !== undefined) this.#end(transfer, 'done', undefined)
  }

  /** The disk, or the hash, says no. What arrived is kept unless the hash is wrong. */
  handleDiskError(key: TransferKey, code: FileErrorCode): void {
    const transfer = this.#transfers.get(key)
    if (transfer !== undefined) this.#end(transfer, code, code === 'FILE_HASH_MISMATCH' ? 'drop' : 'keep')
  }

  /** Ends every transfer; what arrived is kept. */
  handleClose(): void {
    for (const transfer of [...this.#transfers.values()]) this.#end(transfer, 'FILE_ABORTED', 'keep')
  }

  handleTimeout(now: Millis): void {
    for (const transfer of [...this.#transfers.values()]) {
      if (transfer.waitingOffer !== undefined && now >= transfer.waitingOffer.until) this.#answerOffer(transfer, 'wait')
      const waiting = transfer.state !== 'open' || transfer.pending.length > 0
      if (!waiting && now >= transfer.lastHeardAt + this.#options.idleTimeoutMs) {
        this.#end(transfer, 'FILE_ABORTED', 'keep')
      }
    }
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    const consider = (at: Millis): void => {
      if (next === undefined || at < next) next = at
    }
    for (const transfer of this.#transfers.values()) {
      if (transfer.waitingOffer !== undefined) consider(transfer.waitingOffer.until)
      // while the disk works it is the disk that reports next
      if (transfer.state === 'open' && transfer.pending.length === 0) {
        consider(transfer.lastHeardAt + this.#options.idleTimeoutMs)
      }
    }
    return next
  }

  pollAction(): ReceiverAction | undefined {
    return this.#actions.shift()
  }

  #open(now: Millis, key: TransferKey, from: NodeId, token: number, offer: FileOffer): void {
    if (offer.size > this.#options.maxFileBytes) return this.#answer(token, 'FILE_TOO_LARGE', 0)
    if (!this.#accept(offer, from)) return this.#answer(token, 'FILE_REFUSED', 0)
    const own = [...this.#transfers.values()].filter((other) => other.from === from)
    // a sender that was restarted offers the same file again: it takes the place of what it left behind
    const earlier = own.find((other) => toHex(other.offer.id) === toHex(offer.id))
    if (earlier !== undefined) this.#end(earlier, 'FILE_SUPERSEDED', 'keep')
    else if (own.length >= this.#options.maxTransfersPerNode || this.#transfers.size >= this.#options.maxTransfers) {
      return this.#answer(token, 'FILE_BUSY', 0)
    }
    // the offer outlives the message whose bytes it refers to
    const { transfer, id, size, sha256, name } = offer
    const copy: FileOffer = { transfer: transfer.slice(), id: id.slice(), size, sha256: sha256.slice(), name }
    this.#transfers.set(key, {
      key,
      from,
      offer: copy,
      state: 'opening',
      have: 0,
      accepted: 0,
      pending: [],
      held: [],
      waitingOffer: { token, until: now + this.#options.offerAnswerMs },
      lastHeardAt: now,
    })
    this.#actions.push({ type: 'open', key, from, offer: copy })
  }

  #offerAgain(now: Millis, transfer: Transfer, token: number): void {
    // when all of it has arrived there is nothing to go on with: the answer is the verdict, once the disk has it
    const more = transfer.accepted < transfer.offer.size
    if (transfer.state === 'open' && more) return this.#answer(token, 'ok', transfer.accepted)
    this.#answerOffer(transfer, 'wait')
    transfer.waitingOffer = { token, until: now + this.#options.offerAnswerMs }
  }

  #take(transfer: Transfer, token: number, request: FileRequest & { readonly type: 'data' }): void {
    const { offset, bytes } = request
    if (bytes.length > MAX_PIECE_BYTES || offset + bytes.length > transfer.offer.size) {
      return this.#answer(token, 'FILE_MALFORMED', transfer.have)
    }
    if (transfer.state === 'opening') return this.#answer(token, 'wait', 0)
    if (offset > transfer.accepted) return this.#answer(token, 'gap', transfer.accepted)
    if (offset < transfer.accepted) {
      // all of it is here already, or the sender cut its pieces anew and goes on from where we are
      const known = offset + bytes.length <= transfer.accepted
      return this.#answer(token, known ? 'ok' : 'gap', known ? transfer.have : transfer.accepted)
    }
    const waiting = transfer.accepted - transfer.have
    if (waiting > 0 && waiting + bytes.length > this.#options.maxPendingBytes) {
      return this.#answer(token, 'wait', transfer.accepted)
    }
    transfer.accepted += bytes.length
    transfer.pending.push({ token, length: bytes.length })
    this.#actions.push({ type: 'arrived', key: transfer.key, length: bytes.length, received: transfer.accepted })
    this.#actions.push({ type: 'write', key: transfer.key, offset, bytes })
  }

  #finish(transfer: Transfer): void {
    transfer.state = 'finishing'
    this.#actions.push({ type: 'finish', key: transfer.key })
  }

  #end(transfer: Transfer, status: 'done' | FileErrorCode, close: 'keep' | 'drop' | undefined): void {
    this.#transfers.delete(transfer.key)
    if (close !== undefined) this.#actions.push({ type: 'close', key: transfer.key, keep: close === 'keep' })
    if (status === 'done' || status === 'FILE_SUPERSEDED') this.#remember(transfer, status)
    // a transfer that was only given up here can be offered again, which is what UNKNOWN makes its sender do
    const said = status === 'FILE_ABORTED' ? 'FILE_UNKNOWN' : status
    this.#answerOffer(transfer, said)
    for (const { token } of transfer.pending) this.#answer(token, said, transfer.have)
    for (const token of transfer.held) this.#answer(token, said, transfer.have)
    this.#actions.push({ type: 'ended', key: transfer.key, status })
  }

  #remember(transfer: Transfer, status: 'done' | 'FILE_SUPERSEDED'): void {
    this.#ended.set(transfer.key, { status, size: transfer.offer.size })
    if (this.#ended.size <= this.#options.maxEnded) return
    const [oldest] = this.#ended.keys()
    if (oldest !== undefined) this.#ended.delete(oldest)
  }

  #answerOffer(transfer: Transfer, status: FileStatus): void {
    const { waitingOffer } = transfer
    if (waitingOffer === undefined) return
    transfer.waitingOffer = undefined
    this.#answer(waitingOffer.token, status, transfer.accepted)
  }

  #answer(token: number, status: FileStatus, have: number): void {
    this.#actions.push({ type: 'answer', token, bytes: encodeAnswer({ status, have }) })
  }
}
