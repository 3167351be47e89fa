import { type Millis, type NodeId, type Timer } from '@aiv/transport-api'
import type { AivNode, Message } from '@aiv/core'
import { FileError, type FileErrorCode } from '../errors.js'
import { safeFileName } from './file-name.js'
import { FILE_PROTOCOL, type FileOffer } from './file-protocol.js'
import {
  FileReceiverCore,
  type FileReceiverCoreOptions,
  type ReceiverAction,
  type TransferKey,
} from './file-receiver-core.js'
import { partFileName, PartFile, prunePartFiles } from './part-file.js'

/** A file that is arriving. */
export interface FileReceiveProgress {
  readonly from: NodeId
  /** Safe to show and to create: not always what the sender calls it. */
  readonly name: string
  readonly size: number
  /** Bytes from the beginning, those of earlier attempts included. */
  readonly received: number
  /** Bytes of the piece that this is about; 0 when the transfer begins. */
  readonly pieceBytes: number
  /** The transport that the piece came over; empty when the transfer begins. */
  readonly transport: string
}

/** A file that is complete, verified and in its place. */
export interface ReceivedFile {
  readonly from: NodeId
  readonly name: string
  readonly path: string
  readonly size: number
  /** SHA-256 of the whole file, 32 bytes. */
  readonly sha256: Uint8Array
  /** Bytes that were there from an earlier attempt. */
  readonly resumedFrom: number
  readonly elapsedMs: Millis
}

export interface ReceiveFilesOptions extends Omit<FileReceiverCoreOptions, 'accept'> {
  /** Where files are put; made when the first one comes. Nothing in it is overwritten. */
  readonly directory: string
  /** Asked once for each file; false refuses it. */
  readonly accept?: (file: { readonly from: NodeId; readonly name: string; readonly size: number }) => boolean
  readonly onProgress?: (progress: FileReceiveProgress) => void
  readonly onFile?: (file: ReceivedFile) => void
  /** What arrived so far is kept, unless its hash is wrong. */
  readonly onError?: (failed: { readonly from: NodeId; readonly name: string; readonly error: FileError }) => void
  /** Bytes that stay free on the disk; a file that does not leave them is refused. @defaultValue 256 MiB */
  readonly minFreeBytes?: number
  /** Age at which the beginning of a file that was never finished is removed, in ms. @defaultValue 7 days */
  readonly keepPartialMs?: number
  /** Unfinished files that are kept; the oldest go first. @defaultValue 64 */
  readonly maxPartialFiles?: number
}

/** What {@link receiveFiles} gives. */
export interface FileReceiver extends AsyncDisposable {
  /** Takes no more files; resolves when nothing is being written any more. May be called again. */
  close(): Promise<void>
}

interface Receiving {
  readonly offer: FileOffer
  readonly from: NodeId
  readonly name: string
  readonly partName: string
  readonly startedAt: Millis
  part: PartFile | undefined
  path: string | undefined
}

/**
 * Takes the files that others send to `node` with {@link sendFile}: each is written to a partial file as it arrives,
 * checked against the hash that was offered, and then given its name. A transfer that breaks goes on from where it was.
 */
export function receiveFiles(node: Pick<AivNode, 'handle'>, options: ReceiveFilesOptions): FileReceiver {
  return new Receiver(node, options)
}

class Receiver implements FileReceiver {
  readonly #options: ReceiveFilesOptions
  readonly #core: FileReceiverCore
  readonly #unregister: () => void
  readonly #answers = new Map<number, (bytes: Uint8Array) => void>()
  readonly #receiving = new Map<TransferKey, Receiving>()
  /** One disk operation after another for each partial file. */
  readonly #disk = new Map<string, Promise<void>>()
  #tokens = 0
  #transport = ''
  #timer: Timer | undefined
  #closed = false

  constructor(node: Pick<AivNode, 'handle'>, options: ReceiveFilesOptions) {
    this.#options = options
    const { accept } = options
    this.#core = new FileReceiverCore({
      ...options,
      accept: (offer, from) =>
        accept === undefined || accept({ from, name: safeFileName(offer.name), size: offer.size }),
    })
    this.#unregister = node.handle(FILE_PROTOCOL, (message) => this.#handle(message))
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      this.#unregister()
      this.#core.handleClose()
      this.#drive()
    }
    await Promise.all(this.#disk.values())
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #handle(message: Message): Promise<Uint8Array> {
    const token = ++this.#tokens
    return new Promise((resolve) => {
      this.#answers.set(token, resolve)
      this.#transport = message.transport
      this.#core.handleRequest(performance.now(), message.from, token, message.payload)
      this.#drive()
    })
  }

  #drive(): void {
    for (let action; (action = this.#core.pollAction()) !== undefined;) this.#do(action)
    this.#timer?.clear()
    const at = this.#core.nextTimeout()
    if (at === undefined) return
    const timer = setTimeout(
      () => {
        this.#core.handleTimeout(performance.now())
        this.#drive()
      },
      Math.max(0, at - performance.now()),
    )
    timer.unref()
    this.#timer = { clear: () => clearTimeout(timer) }
  }

  #do(action: ReceiverAction): void {
    if (action.type === 'answer') {
      this.#answers.get(action.token)?.(action.bytes)
      this.#answers.delete(action.token)
      return
    }
    if (action.type === 'open') this.#open(action.key, action.from, action.offer)
    const receiving = this.#receiving.get(action.key)
    if (receiving === undefined) return
    switch (action.type) {
      case 'arrived':
        this.#progress(receiving, action.received, action.length, this.#transport)
        break
      case 'write':
        this.#enqueue(action.key, receiving, async () => {
          await receiving.part?.write(action.offset, action.bytes)
          this.#core.handleWritten(performance.now(), action.key)
        })
        break
      case 'finish':
        this.#enqueue(action.key, receiving, async () => {
          receiving.path = await receiving.part?.finish()
          this.#core.handleFinished(action.key)
        })
        break
      case 'close':
        this.#enqueue(action.key, receiving, async () => receiving.part?.close(action.keep))
        break
      case 'ended':
        this.#ended(action.key, receiving, action.status)
        break
    }
  }

  #open(key: TransferKey, from: NodeId, offer: FileOffer): void {
    const receiving: Receiving = {
      offer,
      from,
      name: safeFileName(offer.name),
      partName: partFileName(from, offer.id),
      startedAt: performance.now(),
      part: undefined,
      path: undefined,
    }
    this.#receiving.set(key, receiving)
    this.#enqueue(key, receiving, async () => {
      const { directory, minFreeBytes = 268_435_456, keepPartialMs = 604_800_000, maxPartialFiles = 64 } = this.#options
      const inUse = new Set([...this.#receiving.values()].map((other) => other.partName))
      await prunePartFiles(directory, Date.now(), { keepMs: keepPartialMs, maxFiles: maxPartialFiles, inUse })
      const part = await PartFile.open(directory, from, offer, minFreeBytes)
      receiving.part = part
      this.#progress(receiving, part.resumedFrom, 0, '')
      this.#core.handleOpened(performance.now(), key, part.resumedFrom)
    })
  }

  #enqueue(key: TransferKey, receiving: Receiving, work: () => Promise<void> | undefined): void {
    const before = this.#disk.get(receiving.partName) ?? Promise.resolve()
    const after = before.then(work).then(
      () => this.#drive(),
      (error: unknown) => {
        // a disk that failed once is not asked to write the rest of what is queued
        const { part } = receiving
        receiving.part = undefined
        const code = error instanceof FileError ? error.code : 'FILE_DISK'
        const closed = part?.close(code !== 'FILE_HASH_MISMATCH')
        this.#core.handleDiskError(key, code)
        this.#drive()
        return closed
      },
    )
    this.#disk.set(receiving.partName, after)
    void after.then(() => {
      if (this.#disk.get(receiving.partName) === after) this.#disk.delete(receiving.partName)
    })
  }

  #progress(receiving: Receiving, received: number, pieceBytes: number, transport: string): void {
    const { from, name, offer } = receiving
    tell(this.#options.onProgress, { from, name, size: offer.size, received, pieceBytes, transport })
  }

  #ended(key: TransferKey, receiving: Receiving, status: 'done' | FileErrorCode): void {
    const { from, name, offer, path, part, startedAt } = receiving
    this.#receiving.delete(key)
    if (status === 'done' && path !== undefined && part !== undefined) {
      const elapsedMs = performance.now() - startedAt
      const { size, sha256 } = offer
      tell(this.#options.onFile, { from, name, path, size, sha256, resumedFrom: part.resumedFrom, elapsedMs })
    } else if (status !== 'done') {
      tell(this.#options.onError, { from, name, error: new FileError(status, `${name} did not arrive`) })
    }
  }
}

/** A listener that throws is its owner's bug, and no reason to lose a transfer: reported as events do it. */
function tell<T>(listener: ((value: T) => void) | undefined, value: T): void {
  try {
    listener?.(value)
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}
