import { createHash, randomBytes, type Hash } from 'node:crypto'
import { open } from 'node:fs/promises'
import type { AivNode } from '@aiv/core'
import type { NodeId } from '@aiv/transport-api'
import { describeError } from '../cli/describe-error.js'
import { composeNode } from '../compose-node.js'
import { CommandError } from '../errors.js'
import { hashFile } from '../file/part-file.js'
import { receiveFiles, type FileReceiver, type FileReceiveProgress, type ReceivedFile } from '../file/receive-files.js'
import { sendFile } from '../file/send-file.js'
import { openRadio, type DemoStacks } from './demo-radio.js'
import {
  DEMO_PROTOCOL,
  type DemoCommands,
  type DemoEvent,
  type DemoReply,
  type DemoRequest,
  type FileReport,
  type MessagesReport,
} from './demo-protocol.js'

/** Between two progress events, in ms. */
const PROGRESS_EVERY_MS = 100

/** The other end of a process that the demo started. */
export interface DemoChannel {
  send(message: DemoReply | DemoEvent): void
  onRequest(listener: (request: DemoRequest) => void): void
  /** The demo is gone. */
  onGone(listener: () => void): void
}

/** One of the demo's three nodes: an ordinary node that does what it is told. Resolves when it is closed. */
export async function demoNode(channel: DemoChannel): Promise<void> {
  const node = new DemoNode(channel)
  await new Promise<void>((resolve) => {
    channel.onGone(resolve)
    channel.onRequest((request) => {
      void node.answer(request).then((reply) => {
        channel.send(reply)
        if (request.command === 'close') resolve()
      })
    })
  })
  await node.close()
}

class Tally {
  #hash: Hash = createHash('sha256')
  #count = 0
  #bytes = 0
  #transports: Record<string, number> = {}

  add(payload: Uint8Array, transport: string): void {
    this.#hash.update(payload)
    this.#count++
    this.#bytes += payload.length
    this.#transports[transport] = (this.#transports[transport] ?? 0) + 1
  }

  report(): Omit<MessagesReport, 'elapsedMs'> {
    const sha256 = this.#hash.copy().digest('hex')
    return { count: this.#count, bytes: this.#bytes, sha256, transports: this.#transports }
  }
}

class DemoNode {
  readonly #channel: DemoChannel
  #node: AivNode | undefined
  #files: FileReceiver | undefined
  #radio: DemoStacks | undefined
  readonly #received = new Map<NodeId, Tally>()
  #cut: { readonly transport: string; readonly share: number } | undefined
  #cutAtBytes: number | undefined
  #cutTransport: string | undefined
  #lastBeforeAt: number | undefined
  #firstAfterAt: number | undefined
  #bytesBy: Record<string, number> = {}
  #last: ReceivedFile | undefined

  constructor(channel: DemoChannel) {
    this.#channel = channel
  }

  async answer({ id, command, ask }: DemoRequest): Promise<DemoReply> {
    try {
      return { id, ok: true, answer: await this.#do(command, ask) }
    } catch (error) {
      return { id, ok: false, error: describeError(error) }
    }
  }

  async close(): Promise<void> {
    await this.#files?.close()
    await this.#node?.close()
    this.#radio?.close()
  }

  #do(command: DemoRequest['command'], ask: DemoRequest['ask']): Promise<unknown> {
    switch (command) {
      case 'start':
        return this.#start(ask as DemoCommands['start']['ask'])
      case 'learn':
        for (const address of (ask as DemoCommands['learn']['ask']).addresses) this.#running().addAddress(address)
        return Promise.resolve(null)
      case 'send':
        return this.#send(ask as DemoCommands['send']['ask'])
      case 'received': {
        const { from } = ask as DemoCommands['received']['ask']
        const tally = this.#received.get(from) ?? new Tally()
        this.#received.delete(from)
        return Promise.resolve(tally.report())
      }
      case 'cut-next-file':
        this.#cut = ask as DemoCommands['cut-next-file']['ask']
        return Promise.resolve(null)
      case 'send-file':
        return this.#sendFile(ask as DemoCommands['send-file']['ask'])
      case 'file-report':
        return this.#fileReport()
      case 'close':
        return this.close().then(() => null)
    }
  }

  #running(): AivNode {
    if (this.#node === undefined) throw new CommandError('DEMO_FAILED', 'the node was not started')
    return this.#node
  }

  async #start({
    device,
    htx,
    ble,
    quic,
    directory,
  }: DemoCommands['start']['ask']): Promise<DemoCommands['start']['answer']> {
    const here = { host: '127.0.0.1', port: 0 }
    if (ble !== undefined) this.#radio = await openRadio(ble)
    const wired = ble === undefined
    const node = await composeNode({
      htx: htx && wired ? here : 'off',
      websocket: wired ? here : 'off',
      quic: quic && wired ? here : 'off',
      deviceType: device,
      ...(this.#radio === undefined ? {} : { ble: this.#radio.options }),
    })
    this.#node = node
    node.handle(DEMO_PROTOCOL, ({ from, payload, transport }) => {
      let tally = this.#received.get(from)
      if (tally === undefined) this.#received.set(from, (tally = new Tally()))
      tally.add(payload, transport)
    })
    this.#files = receiveFiles(node, {
      directory,
      onProgress: (progress) => this.#onPiece(progress),
      onFile: (file) => {
        this.#last = file
        this.#channel.send({ event: 'file', from: file.from, name: file.name, size: file.size })
      },
    })
    void this.#tellMessages(node)
    // Where QUIC has no binary its leg goes over WebSocket
    const failed = node.transports.find(({ name, error }) => error !== undefined && name !== 'quic')
    if (failed?.error !== undefined) throw failed.error
    return { id: node.id, pid: process.pid, addresses: node.addresses }
  }

  async #tellMessages(node: AivNode): Promise<void> {
    for await (const message of node.messages()) {
      const { from, transport } = message
      this.#channel.send({ event: 'message', from, transport, text: message.text() })
    }
  }

  async #send({ to, count, bytes }: DemoCommands['send']['ask']): Promise<MessagesReport> {
    const node = this.#running()
    const tally = new Tally()
    const startedAt = performance.now()
    const sent = await Promise.all(
      Array.from({ length: count }, async () => {
        const payload = randomBytes(bytes)
        const receipt = await node.send(to, payload, { protocol: DEMO_PROTOCOL })
        const { transport } = await receipt.delivered
        return { payload, transport }
      }),
    )
    const elapsedMs = performance.now() - startedAt
    for (const { payload, transport } of sent) tally.add(payload, transport)
    return { ...tally.report(), elapsedMs }
  }

  async #sendFile({ to, path }: DemoCommands['send-file']['ask']): Promise<DemoCommands['send-file']['answer']> {
    let toldAt = -Infinity
    const file = await sendFile(this.#running(), to, path, {
      onProgress: ({ phase, done, size }) => {
        const now = performance.now()
        if (phase === 'hashing' || (now - toldAt < PROGRESS_EVERY_MS && done < size)) return
        toldAt = now
        this.#channel.send({ event: 'progress', done, size })
      },
    })
    return { size: file.size, sha256: Buffer.from(file.sha256).toString('hex'), elapsedMs: file.elapsedMs }
  }

  #onPiece({ size, received, pieceBytes, transport }: FileReceiveProgress): void {
    const now = performance.now()
    if (pieceBytes === 0) {
      this.#bytesBy = {}
      this.#cutAtBytes = this.#cutTransport = this.#lastBeforeAt = this.#firstAfterAt = undefined
      return
    }
    this.#bytesBy[transport] = (this.#bytesBy[transport] ?? 0) + pieceBytes
    if (this.#cutTransport !== undefined && transport !== this.#cutTransport) this.#firstAfterAt ??= now
    else if (this.#firstAfterAt === undefined) this.#lastBeforeAt = now
    const cut = this.#cut
    if (cut === undefined || received < size * cut.share) return
    this.#cut = undefined
    this.#cutAtBytes = received
    this.#cutTransport = cut.transport
    // not waited for: the transfer goes on meanwhile, which is what is to be seen
    void this.#running().closeTransport(cut.transport)
  }

  async #fileReport(): Promise<FileReport> {
    const file = this.#last
    if (file === undefined) throw new CommandError('DEMO_FAILED', 'no file arrived')
    const hash = createHash('sha256')
    const handle = await open(file.path, 'r')
    let size: number
    try {
      size = (await handle.stat()).size
      await hashFile(handle, size, hash)
    } finally {
      await handle.close()
    }
    const [before, after] = [this.#lastBeforeAt, this.#firstAfterAt]
    return {
      name: file.name,
      size,
      sha256: hash.digest('hex'),
      transports: this.#bytesBy,
      cutAtBytes: this.#cutAtBytes,
      gapMs: before === undefined || after === undefined ? undefined : after - before,
    }
  }
}
