import type { Millis } from '@aiv/transport-api'
import type { FileErrorCode } from '../errors.js'
import { decodeFileAnswer, PIECE_BYTES } from './file-protocol.js'

export interface FileSenderCoreOptions {
  /** Bytes of the file. */
  readonly size: number
  /** Bytes of the file in one message. @defaultValue 262,144 */
  readonly pieceBytes?: number
  /**
   * Most bytes sent and not yet answered for: what a transfer costs in memory. It begins with a few pieces and grows
   * as long as answers come back within a second; after trouble it begins anew. @defaultValue 8 MiB
   */
  readonly windowBytes?: number
  /** Failures in a row without a byte of progress before it gives up. @defaultValue 5 */
  readonly maxAttempts?: number
  /** Pause before offering again, doubled with each failure in a row up to 10 s, in ms. @defaultValue 250 */
  readonly backOffMs?: number
  /** Longest time without progress, however often the receiver asks to wait, in ms. @defaultValue 600,000 */
  readonly stallTimeoutMs?: number
}

/** What the shell is to do. `ref` names a request until it is answered or has failed. */
export type SenderAction =
  | { readonly type: 'offer'; readonly ref: number }
  | { readonly type: 'piece'; readonly ref: number; readonly offset: number; readonly length: number }
  | { readonly type: 'progress'; readonly confirmed: number }
  | { readonly type: 'done' }
  | { readonly type: 'failed'; readonly code: FileErrorCode | 'REQUEST'; readonly cause: unknown }

/** Pieces of the first window. */
const FIRST_WINDOW_PIECES = 4
/** Answers within this time let the window grow. */
const QUICK_ANSWER_MS = 1000
/** Answers after this time halve it: on a slow path a full window must not outlast the deadline of its requests. */
const SLOW_ANSWER_MS = 5000

/** Longest pause between two attempts: a longer one only uses up the time without progress. */
const MAX_BACK_OFF_MS = 10_000

interface UnderWay {
  /** Bytes of the file; an offer has none. */
  readonly length: number
  readonly sentAt: Millis
}

type State = 'offering' | 'sending' | 'draining' | 'paused' | 'ended'

/**
 * Sends one file: decides which piece goes next, and from where to go on after a gap, a lost answer, a restart of the
 * receiver. Pieces go out in order within a window. Whatever goes wrong is dealt with in one way: nothing new is sent,
 * what is under way is waited for, and it goes on from the place that the receiver names.
 */
export class FileSenderCore {
  readonly #size: number
  readonly #pieceBytes: number
  readonly #maxWindowBytes: number
  readonly #maxAttempts: number
  readonly #backOffMs: number
  readonly #stallTimeoutMs: number
  readonly #underWay = new Map<number, UnderWay>()
  readonly #actions: SenderAction[] = []
  #state: State = 'offering'
  #windowBytes: number
  #shrunkAt = -Infinity
  #next = 0
  #confirmed = 0
  #best = 0
  #inFlight = 0
  #attempts = 0
  #refs = 0
  #answered = false // any offer so far
  #resumed = false // by bytes of an earlier attempt, which only the hash at the end can prove
  #restarted = false
  #offerNext = false // what follows draining or a pause: an offer, or more pieces
  #pauseMs = 0
  #pausedUntil: Millis = 0
  #stallAt: Millis

  constructor(now: Millis, options: FileSenderCoreOptions) {
    this.#size = options.size
    this.#pieceBytes = options.pieceBytes ?? PIECE_BYTES
    this.#maxWindowBytes = options.windowBytes ?? 8_388_608
    this.#windowBytes = Math.min(this.#maxWindowBytes, FIRST_WINDOW_PIECES * this.#pieceBytes)
    this.#maxAttempts = options.maxAttempts ?? 5
    this.#backOffMs = options.backOffMs ?? 250
    this.#stallTimeoutMs = options.stallTimeoutMs ?? 600_000
    this.#stallAt = now + this.#stallTimeoutMs
    this.#offer(now)
  }

  /** Bytes from the beginning that the receiver has confirmed. */
  get confirmed(): number {
    return this.#confirmed
  }

  /** Bytes sent and not yet answered for. */
  get inFlight(): number {
    return this.#inFlight
  }

  /** The answer to a request. */
  handleAnswer(now: Millis, ref: number, bytes: Uint8Array): void {
    const request = this.#settle(ref)
    if (request === undefined) return
    const answer = decodeFileAnswer(bytes)
    if (answer === undefined || answer.have > this.#size) return this.#fail('FILE_MALFORMED')
    const isOffer = request.length === 0
    if (isOffer) this.#answered = true
    else this.#resize(now, request)
    switch (answer.status) {
      case 'done':
        return this.#finish()
      case 'ok':
        if (isOffer) this.#begin(now, answer.have)
        else this.#confirm(now, answer.have)
        break
      case 'wait':
        // nothing is wrong: neither an attempt nor a failure, only bounded by the time without progress
        if (!isOffer) this.#confirm(now, answer.have)
        this.#drain(isOffer, this.#backOffMs)
        break
      case 'gap':
        this.#confirm(now, answer.have)
        if (this.#state === 'sending') this.#trouble(false, undefined, 'FILE_STALLED')
        break
      case 'FILE_UNKNOWN':
        this.#trouble(true, undefined, 'FILE_UNKNOWN')
        break
      case 'FILE_HASH_MISMATCH':
        // bytes kept from an earlier attempt may have rotted: once, from the beginning
        if (!this.#resumed || this.#restarted) return this.#fail('FILE_HASH_MISMATCH')
        this.#restarted = true
        this.#best = 0
        this.#drain(true, 0)
        break
      default:
        return this.#fail(answer.status)
    }
    this.#settled(now)
  }

  /** A request came to nothing. `retryable` false, and no answer to any offer so far: the transfer ends with `cause`. */
  handleFailure(now: Millis, ref: number, cause: unknown, retryable: boolean): void {
    if (this.#settle(ref) === undefined) return
    if (!retryable || !this.#answered) return this.#fail('REQUEST', cause)
    this.#trouble(true, cause, 'REQUEST')
    this.#settled(now)
  }

  /** Our own file cannot be read, or is not what it was. */
  handleSourceError(code: FileErrorCode, cause: unknown): void {
    this.#fail(code, cause)
  }

  handleTimeout(now: Millis): void {
    if (this.#state === 'ended') return
    if (now >= this.#stallAt) return this.#fail('FILE_STALLED')
    if (this.#state === 'paused' && now >= this.#pausedUntil) this.#goOn(now)
  }

  nextTimeout(): Millis | undefined {
    if (this.#state === 'ended') return undefined
    return this.#state === 'paused' ? Math.min(this.#pausedUntil, this.#stallAt) : this.#stallAt
  }

  /** The next thing to do, or `undefined`; asking is what makes the next piece be sent. */
  pollAction(now: Millis): SenderAction | undefined {
    const action = this.#actions.shift()
    if (action !== undefined || this.#state !== 'sending' || this.#next >= this.#size) return action
    const length = Math.min(this.#pieceBytes, this.#size - this.#next)
    if (this.#inFlight > 0 && this.#inFlight + length > this.#windowBytes) return undefined
    const piece: SenderAction = { type: 'piece', ref: ++this.#refs, offset: this.#next, length }
    this.#underWay.set(piece.ref, { length, sentAt: now })
    this.#inFlight += length
    this.#next += length
    return piece
  }

  #offer(now: Millis): void {
    this.#state = 'offering'
    this.#underWay.set(++this.#refs, { length: 0, sentAt: now })
    this.#actions.push({ type: 'offer', ref: this.#refs })
  }

  #begin(now: Millis, have: number): void {
    this.#state = 'sending'
    this.#resumed ||= have > 0
    this.#next = have
    this.#confirmed = have
    this.#progress(now)
  }

  #confirm(now: Millis, have: number): void {
    if (have <= this.#confirmed) return
    this.#confirmed = have
    this.#progress(now)
  }

  #progress(now: Millis): void {
    this.#actions.push({ type: 'progress', confirmed: this.#confirmed })
    if (this.#confirmed <= this.#best) return
    this.#best = this.#confirmed
    this.#attempts = 0
    this.#stallAt = now + this.#stallTimeoutMs
  }

  #trouble(offer: boolean, cause: unknown, code: FileErrorCode | 'REQUEST'): void {
    // pieces that fail together are one failure
    if (this.#state === 'draining') {
      this.#offerNext ||= offer
      return
    }
    if (++this.#attempts > this.#maxAttempts) return this.#fail(code, cause)
    this.#windowBytes = Math.min(this.#windowBytes, FIRST_WINDOW_PIECES * this.#pieceBytes)
    this.#drain(offer, offer ? Math.min(MAX_BACK_OFF_MS, this.#backOffMs * 2 ** (this.#attempts - 1)) : 0)
  }

  #drain(offer: boolean, pauseMs: number): void {
    if (this.#state === 'ended') return
    this.#offerNext = offer || (this.#state === 'draining' && this.#offerNext)
    this.#pauseMs = Math.max(pauseMs, this.#state === 'draining' ? this.#pauseMs : 0)
    this.#state = 'draining'
  }

  /** Forgets a request; `undefined` when it is none of ours. */
  #settle(ref: number): UnderWay | undefined {
    const request = this.#underWay.get(ref)
    if (request === undefined) return undefined
    this.#underWay.delete(ref)
    this.#inFlight -= request.length
    return request
  }

  #resize(now: Millis, { length, sentAt }: UnderWay): void {
    const took = now - sentAt
    if (took < QUICK_ANSWER_MS) {
      this.#windowBytes = Math.min(this.#maxWindowBytes, this.#windowBytes + length)
    } else if (took > SLOW_ANSWER_MS && sentAt >= this.#shrunkAt) {
      // once for all that was under way
      this.#shrunkAt = now
      this.#windowBytes = Math.max(this.#pieceBytes, this.#windowBytes / 2)
    }
  }

  #settled(now: Millis): void {
    if (this.#underWay.size > 0) return
    // every piece was taken and nobody said "done": that answer was lost, or the disk has not caught up
    if (this.#state === 'sending' && this.#next >= this.#size) this.#drain(true, this.#backOffMs)
    if (this.#state !== 'draining') return
    this.#pausedUntil = now + this.#pauseMs
    this.#state = 'paused'
    if (this.#pauseMs === 0) this.#goOn(now)
  }

  #goOn(now: Millis): void {
    // all of it is there and a late answer stopped us: only an offer brings the verdict
    if (this.#offerNext || this.#confirmed >= this.#size) return this.#offer(now)
    this.#state = 'sending'
    this.#next = this.#confirmed
  }

  #finish(): void {
    this.#confirmed = this.#size
    this.#end({ type: 'done' })
  }

  #fail(code: FileErrorCode | 'REQUEST', cause?: unknown): void {
    this.#end({ type: 'failed', code, cause })
  }

  #end(action: SenderAction): void {
    if (this.#state === 'ended') return
    this.#state = 'ended'
    this.#underWay.clear()
    this.#inFlight = 0
    this.#actions.length = 0
    this.#actions.push(action)
  }
}
