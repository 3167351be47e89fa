import {
  type ByteStream,
  type CloseReason,
  type Connection,
  type ConnectionHandler,
  type PacketInfo,
  type Path,
  Priority,
  type SendOptions,
  type SendResult,
} from '@aiv/transport-api'

/** A handler that keeps what it is told, and promises of what is to come. */
export class Keeper implements ConnectionHandler {
  /** As text. */
  readonly packets: string[] = []
  /** Whether each of them came as early data. */
  readonly early: boolean[] = []
  readonly sent: number[] = []
  readonly paths: string[] = []
  readonly streams: ByteStream[] = []
  readonly liveness: string[] = []
  count = 0
  bytes = 0
  closed: CloseReason | undefined
  established = false
  drains = 0
  onEach: ((bytes: Uint8Array) => void) | undefined
  onStreamOpen: ((stream: ByteStream) => void) | undefined
  /** False: packets are counted and not kept. */
  keep = true
  #waiting: { ready: () => boolean; resolve: () => void }[] = []

  constructor(readonly connection: Connection) {
    connection.attach(this)
  }

  onPacket(bytes: Uint8Array, { early }: PacketInfo): void {
    this.count++
    this.bytes += bytes.length
    if (this.keep) {
      this.packets.push(new TextDecoder().decode(bytes))
      this.early.push(early)
    }
    this.onEach?.(bytes)
    this.#look()
  }

  onDrain(): void {
    this.drains++
    this.#look()
  }

  onSent(tag: number): void {
    this.sent.push(tag)
    this.#look()
  }

  onEstablished(): void {
    this.established = true
    this.#look()
  }

  onPath(_: Path, cause: string): void {
    this.paths.push(cause)
    this.#look()
  }

  onLiveness(state: string): void {
    this.liveness.push(state)
    this.#look()
  }

  onStream(stream: ByteStream): void {
    this.streams.push(stream)
    this.onStreamOpen?.(stream)
    this.#look()
  }

  onClosed(reason: CloseReason): void {
    this.closed = reason
    this.#look()
  }

  say(text: string, options: Partial<SendOptions> = {}): SendResult {
    const bytes = new TextEncoder().encode(text)
    return this.connection.send(bytes, { priority: Priority.Normal, delivery: 'reliable', ...options })
  }

  /** Looked at whenever the connection tells anything. */
  until(ready: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ ready, resolve })
      this.#look()
    })
  }

  async end(): Promise<CloseReason> {
    await this.until(() => this.closed !== undefined)
    return this.closed as CloseReason
  }

  #look(): void {
    this.#waiting = this.#waiting.filter(({ ready, resolve }) => {
      if (!ready()) return true
      resolve()
      return false
    })
  }
}
