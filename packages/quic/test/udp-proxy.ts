import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface ProxyOptions {
  /** Each way. */
  readonly delayMs?: number
  /** Chance that a datagram is lost, each way. */
  readonly loss?: number
  /** Address that the listener sees the dialler at; all of 127/8 is ours. @defaultValue 127.0.0.1 */
  readonly from?: string
  /** Decides about loss. */
  readonly random?: () => number
}

/**
 * Stands between a dialler and a listener as a network does: delays, loses, holds back, records, and gives the dialler
 * another source port when it is told to, as a NAT that forgot it does.
 */
export class UdpProxy {
  /** What the dialler sent, in order. */
  readonly recorded: Uint8Array[] = []
  rebindings = 0
  lost = 0
  recording = false
  /** True: nothing passes. */
  cut = false
  /** While there is a list, what the dialler sends is kept here: each entry lets one datagram pass. */
  held: (() => void)[] | undefined
  #onAnswer: () => void = () => undefined
  readonly #front: Socket
  readonly #target: number
  readonly #options: Required<ProxyOptions>
  #backs = new Map<number, Socket>()
  readonly #timers = new Set<NodeJS.Timeout>()
  #closed = false

  private constructor(front: Socket, target: number, options: ProxyOptions) {
    this.#front = front
    this.#target = target
    this.#options = { delayMs: 0, loss: 0, from: '127.0.0.1', random: Math.random, ...options }
    front.on('message', (bytes, { port }) => this.#onFront(bytes, port))
  }

  /** @param target - port of the listener on 127.0.0.1. */
  static async start(target: number, options: ProxyOptions = {}): Promise<UdpProxy> {
    const front = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 })
    front.bind(0, '127.0.0.1')
    await once(front, 'listening')
    return new UdpProxy(front, target, options)
  }

  get port(): number {
    return this.#front.address().port
  }

  /** The next datagram of the listener. */
  answer(): Promise<void> {
    return new Promise((resolve) => (this.#onAnswer = resolve))
  }

  /** From now on the listener sees other source ports. */
  rebind(): void {
    this.rebindings++
    for (const back of this.#backs.values()) back.close()
    this.#backs = new Map()
  }

  close(): void {
    this.#closed = true
    for (const timer of this.#timers) clearTimeout(timer)
    this.#front.close()
    for (const back of this.#backs.values()) back.close()
  }

  #onFront(bytes: Uint8Array, from: number): void {
    if (this.recording) this.recorded.push(Uint8Array.from(bytes))
    const pass = (): void => this.#pass(() => this.#back(from).send(bytes, this.#target, '127.0.0.1'))
    if (this.held === undefined) pass()
    else this.held.push(pass)
  }

  #back(from: number): Socket {
    let back = this.#backs.get(from)
    if (back === undefined) {
      back = createSocket({ type: 'udp4', recvBufferSize: 4 << 20, sendBufferSize: 4 << 20 })
      back.bind(0, this.#options.from)
      back.on('message', (bytes) => {
        this.#onAnswer()
        this.#pass(() => this.#front.send(bytes, from, '127.0.0.1'))
      })
      this.#backs.set(from, back)
    }
    return back
  }

  #pass(send: () => void): void {
    const { delayMs, loss, random } = this.#options
    if (this.cut || this.#closed) return
    if (loss > 0 && random() < loss) {
      this.lost++
      return
    }
    if (delayMs === 0) return send()
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      if (!this.#closed) send()
    }, delayMs)
    this.#timers.add(timer)
  }
}
