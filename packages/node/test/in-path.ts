import { once } from 'node:events'
import { type AddressInfo, type Socket, connect, createServer } from 'node:net'
import { crc32 } from '@aiv/htx-codec'

/** `up`: from who dialled to who listens. */
export type Direction = 'up' | 'down'

/** One HTX frame on its way. */
export interface PassingFrame {
  readonly direction: Direction
  readonly type: number
  readonly sealed: boolean
  /** The whole frame. */
  readonly bytes: Uint8Array
}

/** What becomes of a frame: the frames that go on in its place. */
export type Tamper = (frame: PassingFrame) => readonly Uint8Array[]

/** Somebody between two nodes who sees every frame and may do with it what he likes. */
export interface InPath {
  /** Where the other end seems to be. */
  readonly address: string
  /** All bytes that went by, as they came. */
  readonly seen: Uint8Array[]
  /** Frames that went by. */
  frames: number
  tamper: Tamper
  /** Ends all connections: with a FIN to both sides, or at once. */
  cut(how: 'fin' | 'reset'): void
  /** Takes nobody any more, and cuts what there is. */
  refuse(): void
  close(): Promise<void>
}

/** A frame with something changed in it, and the right CRC. */
export function mended(frame: Uint8Array): Uint8Array {
  const out = frame.slice()
  new DataView(out.buffer).setUint32(out.length - 4, crc32(out.subarray(0, out.length - 4)))
  return out
}

/** A listener that stands for the one at `address`, and passes on what it gets. Knows TCP and WebSocket. */
export async function inPath(address: string): Promise<InPath> {
  const { protocol, username, hostname, port, pathname } = new URL(address)
  const isWebSocket = protocol === 'ws:'
  const pairs = new Set<readonly [Socket, Socket]>()
  let refusing = false
  const server = createServer((near) => {
    if (refusing) return void near.destroy()
    const far = connect(Number(port), hostname)
    const pair = [near, far] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    const pass = (from: Socket, to: Socket, direction: Direction): void => {
      const stream = new FrameStream(isWebSocket, direction)
      from.setNoDelay(true)
      from.on('error', end)
      from.on('close', end)
      from.on('data', (bytes: Buffer) => {
        path.seen.push(bytes)
        for (const out of stream.push(bytes, tamperAndCount)) if (to.writable) to.write(out)
      })
    }
    pass(near, far, 'up')
    pass(far, near, 'down')
  })
  const tamperAndCount: Tamper = (frame) => {
    path.frames += 1
    return path.tamper(frame)
  }
  const cut = (how: 'fin' | 'reset'): void => {
    for (const socket of [...pairs].flat()) {
      if (how === 'fin') socket.end()
      else socket.destroy()
    }
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const path: InPath = {
    address: `${protocol}//${username === '' ? '' : `${username}@`}${host}${isWebSocket ? pathname : ''}`,
    seen: [],
    frames: 0,
    tamper: ({ bytes }) => [bytes],
    cut,
    refuse: () => {
      refusing = true
      cut('reset')
    },
    close: async () => {
      cut('reset')
      server.close()
      await once(server, 'close')
    },
  }
  return path
}

/** One direction of a connection: cuts what it carries into HTX frames, and puts them into what carries them again. */
class FrameStream {
  readonly #direction: Direction
  /** `http` until the empty line behind the upgrade, then `messages`; `bare` over TCP. */
  #carrier: 'bare' | 'http' | 'messages'
  #raw = Buffer.alloc(0)
  #htx = Buffer.alloc(0)

  constructor(isWebSocket: boolean, direction: Direction) {
    this.#carrier = isWebSocket ? 'http' : 'bare'
    this.#direction = direction
  }

  push(bytes: Uint8Array, tamper: Tamper): Uint8Array[] {
    const out: Uint8Array[] = []
    if (this.#carrier === 'bare') {
      this.#htx = Buffer.concat([this.#htx, bytes])
      out.push(...this.#frames(tamper))
      return out
    }
    this.#raw = Buffer.concat([this.#raw, bytes])
    if (this.#carrier === 'http') {
      const end = this.#raw.indexOf('\r\n\r\n')
      if (end < 0) return out
      out.push(this.#take(end + 4))
      this.#carrier = 'messages'
    }
    for (let message; (message = this.#message()) !== undefined;) {
      if (message.opcode >= 8) {
        out.push(message.whole)
        continue
      }
      this.#htx = Buffer.concat([this.#htx, message.payload])
      for (const frame of this.#frames(tamper)) out.push(this.#wrap(frame))
    }
    return out
  }

  #take(length: number): Buffer {
    const taken = this.#raw.subarray(0, length)
    this.#raw = this.#raw.subarray(length)
    return taken
  }

  /** RFC 6455, section 5.2. */
  #message(): { opcode: number; payload: Buffer; whole: Buffer } | undefined {
    const [first = 0, second = 0] = this.#raw
    if (this.#raw.length < 2) return undefined
    const short = second & 0x7f
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0
    const masked = (second & 0x80) !== 0
    const head = 2 + lengthBytes + (masked ? 4 : 0)
    if (this.#raw.length < head) return undefined
    const length =
      lengthBytes === 0 ? short : lengthBytes === 2 ? this.#raw.readUInt16BE(2) : Number(this.#raw.readBigUInt64BE(2))
    if (this.#raw.length < head + length) return undefined
    const whole = this.#take(head + length)
    const payload = Buffer.from(whole.subarray(head))
    if (masked) {
      const mask = whole.subarray(head - 4, head)
      for (let i = 0; i < payload.length; i++) payload[i] = (payload[i] as number) ^ (mask[i % 4] as number)
    }
    return { opcode: first & 0x0f, payload, whole }
  }

  /** As one message of its own; a mask of zeros where there has to be one. */
  #wrap(frame: Uint8Array): Uint8Array {
    const masked = this.#direction === 'up'
    const head = Buffer.alloc(masked ? 14 : 10)
    head[0] = 0x82
    head[1] = 127 | (masked ? 0x80 : 0)
    head.writeBigUInt64BE(BigInt(frame.length), 2)
    return Buffer.concat([head, frame])
  }

  #frames(tamper: Tamper): Uint8Array[] {
    const out: Uint8Array[] = []
    while (this.#htx.length >= 24) {
      const length = 24 + this.#htx.readUIntBE(4, 3)
      if (this.#htx.length < length) break
      const bytes = new Uint8Array(this.#htx.subarray(0, length))
      this.#htx = this.#htx.subarray(length)
      const sealed = ((bytes[3] as number) & 2) !== 0
      out.push(...tamper({ direction: this.#direction, type: bytes[7] as number, sealed, bytes }))
    }
    return out
  }
}
