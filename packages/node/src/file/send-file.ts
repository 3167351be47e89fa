import { createHash, randomBytes } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { AivError, Priority, type Millis, type NodeId, type Timer } from '@aiv/transport-api'
import type { AivNode } from '@aiv/core'
import { FileError } from '../errors.js'
import {
  DATA_HEADER_BYTES,
  encodeCancel,
  encodeOffer,
  FILE_PROTOCOL,
  MAX_NAME_BYTES,
  writeDataHeader,
  type FileOffer,
} from './file-protocol.js'
import { FileSenderCore, type FileSenderCoreOptions, type SenderAction } from './file-sender-core.js'
import { diskError, hashFile } from './part-file.js'

export interface FileSendProgress {
  /** A file is read twice: for its hash, which the offer names, and to be sent. */
  readonly phase: 'hashing' | 'sending'
  /** Bytes hashed, or confirmed to be on the receiver's disk. */
  readonly done: number
  readonly size: number
}

export interface SendFileOptions extends Omit<FileSenderCoreOptions, 'size'> {
  /** What the receiver is told that it is called. @defaultValue the last part of the path */
  readonly name?: string
  /** @defaultValue low, so that messages overtake it */
  readonly priority?: Priority
  /** Gives up; what has arrived is kept by the receiver. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: FileSendProgress) => void
  /** Longest that one piece may be on its way, in ms. @defaultValue 60,000 */
  readonly requestTimeoutMs?: number
}

/** A file that the receiver has verified. */
export interface SentFile {
  readonly name: string
  readonly size: number
  /** SHA-256 of the whole file, 32 bytes. */
  readonly sha256: Uint8Array
  /** From the offer to the receiver's verdict; hashing is not in it. */
  readonly elapsedMs: Millis
  /** Bytes that the receiver had from an earlier attempt. */
  readonly resumedFrom: number
}

/**
 * Sends the file at `path` to a node that runs {@link receiveFiles}, and resolves when the file is complete there and
 * its hash is right. At most `windowBytes` of it are in memory. Calling it again after a failure goes on from where it
 * was.
 *
 * @throws FileError when the receiver refuses or cannot take it, or when our file cannot be read
 * @throws AivError of the node's when the receiver cannot be reached
 * @throws the signal's reason
 */
export async function sendFile(
  node: Pick<AivNode, 'request'>,
  to: NodeId | string,
  path: string,
  options: SendFileOptions = {},
): Promise<SentFile> {
  const { signal, onProgress } = options
  signal?.throwIfAborted()
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw diskError(error)
  })
  try {
    const before = await handle.stat({ bigint: true })
    if (!before.isFile()) throw new FileError('FILE_DISK', `${path} is no regular file`)
    const size = Number(before.size)
    const hash = createHash('sha256')
    await hashFile(handle, size, hash, (done) => {
      signal?.throwIfAborted()
      onProgress?.({ phase: 'hashing', done, size })
    })
    const sha256 = new Uint8Array(hash.digest())
    const name = options.name ?? basename(path)
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) {
      throw new FileError('FILE_MALFORMED', `a name has at most ${MAX_NAME_BYTES} bytes`)
    }
    const offer: FileOffer = { transfer: randomBytes(8), id: fileId(sha256, size, name), size, sha256, name }
    const changed = async (): Promise<boolean> => {
      const after = await handle.stat({ bigint: true })
      return after.size !== before.size || after.mtimeNs !== before.mtimeNs
    }
    return await new Sending(node, to, handle, offer, changed, options).run()
  } finally {
    await handle.close()
  }
}

/** The same for the same content, size and name: SHA-256(content hash ‖ size u64 ‖ name)[0..16]. */
export function fileId(sha256: Uint8Array, size: number, name: string): Uint8Array {
  const length = Buffer.alloc(8)
  length.writeBigUInt64BE(BigInt(size))
  return new Uint8Array(createHash('sha256').update(sha256).update(length).update(name).digest().subarray(0, 16))
}

/** The shell of a {@link FileSenderCore}: reads, asks, and reports back. */
class Sending {
  readonly #core: FileSenderCore
  readonly #startedAt = performance.now()
  readonly #stop = new AbortController()
  #reading: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #resumedFrom: number | undefined
  #resolve: (file: SentFile) => void = () => undefined
  #reject: (error: unknown) => void = () => undefined

  constructor(
    private readonly node: Pick<AivNode, 'request'>,
    private readonly to: NodeId | string,
    private readonly handle: FileHandle,
    private readonly offer: FileOffer,
    private readonly changed: () => Promise<boolean>,
    private readonly options: SendFileOptions,
  ) {
    this.#core = new FileSenderCore(this.#startedAt, { ...options, size: offer.size })
    // every request under way listens to it, and the window bounds their number
    setMaxListeners(0, this.#stop.signal)
  }

  async run(): Promise<SentFile> {
    const { signal } = this.options
    const onAbort = (): void => {
      // told once and not waited for: a receiver that does not hear it notices the silence
      this.#request(encodeCancel(this.offer.transfer), undefined).catch(() => undefined)
      this.#reject(signal?.reason)
    }
    try {
      return await new Promise<SentFile>((resolve, reject) => {
        this.#resolve = resolve
        this.#reject = reject
        signal?.addEventListener('abort', onAbort, { once: true })
        if (signal?.aborted === true) onAbort()
        else this.#drive()
      })
    } finally {
      signal?.removeEventListener('abort', onAbort)
      this.#timer?.clear()
      this.#stop.abort(new FileError('FILE_ABORTED', 'the transfer is over'))
      await this.#reading
    }
  }

  #drive(): void {
    if (this.#stop.signal.aborted) return
    for (let action; (action = this.#core.pollAction(performance.now())) !== undefined;) this.#do(action)
    this.#timer?.clear()
    const at = this.#core.nextTimeout()
    if (at === undefined) return
    const timer = setTimeout(
      () => {
        this.#core.handleTimeout(performance.now())
        this.#drive()
      },
      Math.min(Math.max(0, at - performance.now()), 2 ** 31 - 1),
    )
    this.#timer = { clear: () => clearTimeout(timer) }
  }

  #do(action: SenderAction): void {
    switch (action.type) {
      case 'offer':
        this.#ask(action.ref, encodeOffer(this.offer))
        break
      case 'piece':
        // one read after another, so that pieces go out in order
        this.#reading = this.#reading
          .then(() => this.#sendPiece(action.ref, action.offset, action.length))
          .catch((error: unknown) => this.#reject(error))
        break
      case 'progress':
        this.#resumedFrom ??= action.confirmed
        this.options.onProgress?.({ phase: 'sending', done: action.confirmed, size: this.offer.size })
        break
      case 'done':
        this.options.onProgress?.({ phase: 'sending', done: this.offer.size, size: this.offer.size })
        this.#resolve({
          name: this.offer.name,
          size: this.offer.size,
          sha256: this.offer.sha256,
          elapsedMs: performance.now() - this.#startedAt,
          resumedFrom: this.#resumedFrom ?? this.offer.size,
        })
        break
      case 'failed':
        void this.#failed(action)
        break
    }
  }

  async #sendPiece(ref: number, offset: number, length: number): Promise<void> {
    if (this.#stop.signal.aborted) return
    const message = new Uint8Array(DATA_HEADER_BYTES + length)
    try {
      for (let done = 0; done < length;) {
        const at = DATA_HEADER_BYTES + done
        const { bytesRead } = await this.handle.read(message, at, length - done, offset + done)
        if (bytesRead === 0) throw new FileError('FILE_CHANGED', 'the file became shorter while it was sent')
        done += bytesRead
      }
    } catch (error) {
      const { code } = diskError(error)
      this.#core.handleSourceError(code, error)
      return this.#drive()
    }
    writeDataHeader(message, this.offer.transfer, offset)
    this.#ask(ref, message)
  }

  #ask(ref: number, message: Uint8Array): void {
    this.#request(message, this.#stop.signal)
      .then(
        (answer) => this.#core.handleAnswer(performance.now(), ref, answer),
        (error: unknown) => {
          // a node that was closed and a caller's mistake do not get better by asking again
          const retryable = error instanceof AivError && !isFinal(error)
          this.#core.handleFailure(performance.now(), ref, error, retryable)
        },
      )
      .then(() => this.#drive())
      .catch((error: unknown) => this.#reject(error)) // a listener of ours threw
  }

  #request(message: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    const { priority = Priority.Low, requestTimeoutMs = 60_000 } = this.options
    return this.node.request(this.to, FILE_PROTOCOL, message, {
      priority,
      timeoutMs: requestTimeoutMs,
      ...(signal === undefined ? {} : { signal }),
    })
  }

  async #failed({ code, cause }: SenderAction & { readonly type: 'failed' }): Promise<void> {
    if (code === 'REQUEST') return this.#reject(cause)
    const changed = code === 'FILE_HASH_MISMATCH' && (await this.changed().catch(() => true))
    const shown = changed ? 'FILE_CHANGED' : code
    this.#reject(cause instanceof FileError ? cause : new FileError(shown, reasons[shown], { cause }))
  }
}

const isFinal = ({ code }: { readonly code: string }): boolean =>
  code === 'NODE_CLOSED' || code === 'ARGUMENT_INVALID' || code.startsWith('IDENTITY_')

const reasons: Record<FileError['code'], string> = {
  FILE_MALFORMED: 'the other side does not speak this file protocol',
  FILE_REFUSED: 'the receiver does not want the file',
  FILE_TOO_LARGE: 'the file is larger than the receiver takes',
  FILE_BUSY: 'the receiver has as many transfers as it takes; try again later',
  FILE_NO_SPACE: 'the receiver has no room for the file',
  FILE_DISK: 'the disk failed at one of the two sides',
  FILE_HASH_MISMATCH: 'what arrived is not the file that was offered',
  FILE_UNKNOWN: 'the receiver forgot the transfer again and again',
  FILE_SUPERSEDED: 'the same file was offered again from here by another call',
  FILE_STALLED: 'no progress in several attempts',
  FILE_CHANGED: 'the file changed while it was sent',
  FILE_ABORTED: 'the transfer was given up',
}
