import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { betanet } from '@aiv/betanet'
import { createNode, type AivNode } from '@aiv/core'
import { FrameType, lz4Compressor } from '@aiv/htx-codec'
import { createIdentity, secureChannels } from '@aiv/security'
import {
  Priority,
  silentLogger,
  type Clock,
  type CloseReason,
  type Connection,
  type Transport,
  type TransportComponents,
} from '@aiv/transport-api'
import { webSocket } from '@aiv/websocket'
import { type InPath, type PassingFrame, type Tamper, inPath, mended } from './in-path.js'

const clock: Clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run, delayMs) => {
    const handle = setTimeout(run, delayMs)
    return { clear: () => clearTimeout(handle) }
  },
}

/** Resolves when `ready` is true; looks after each turn of the event loop. */
async function until(ready: () => boolean): Promise<void> {
  while (!ready()) await new Promise((resolve) => setTimeout(resolve, 1))
}

/** One end of a connection, and what it heard. */
class End {
  readonly packets: Uint8Array[] = []
  closed: CloseReason | undefined

  constructor(readonly connection: Connection) {
    connection.attach({
      onPacket: (bytes) => void this.packets.push(bytes),
      onDrain: () => undefined,
      onClosed: (reason) => void (this.closed = reason),
    })
  }

  send(text: string): void {
    this.connection.send(new TextEncoder().encode(text), { priority: Priority.Normal, delivery: 'reliable' })
  }

  get texts(): string[] {
    return this.packets.filter(({ length }) => length < 100).map((bytes) => new TextDecoder().decode(bytes))
  }
}

/** A transport that is up, with those who dialled it. */
class Station {
  readonly accepted: End[] = []
  readonly addresses: string[] = []
  constructor(readonly transport: Transport) {}

  static async up(make: (components: TransportComponents) => Transport): Promise<Station> {
    const identity = await createIdentity()
    const station = new Station(
      make({
        identity,
        secure: secureChannels({ identity, clock }),
        clock,
        random: { bytes: (length) => randomBytes(length), uniform: () => Math.random() },
        log: silentLogger,
        metrics: undefined,
      }),
    )
    await station.transport.start({
      admit: () => true,
      onConnection: (connection) => void station.accepted.push(new End(connection)),
      onListening: (addresses) => void station.addresses.splice(0, Infinity, ...addresses),
      onDown: () => undefined,
    })
    return station
  }

  async dial(address: string): Promise<End> {
    return new End(await this.transport.dial(address, { expected: undefined }))
  }
}

const session = { closeDrainMs: 150, rekeyAfterFrames: 1_100, compression: false }
const halfOpen = { handshakesPerSecond: Infinity }
const listen = { host: '127.0.0.1', port: 0 }
const carriers = [
  { name: 'betanet', make: betanet({ listen, session, halfOpen }), dial: betanet({ listen: false, session }) },
  { name: 'websocket', make: webSocket({ listen, session, halfOpen }), dial: webSocket({ listen: false, session }) },
]

/** How a frame of each type is made to go up, from who dialled (`near`) to who listens (`far`). */
const types: readonly (readonly [
  name: string,
  type: number,
  provoke: (near: End, far: End) => Promise<void> | void,
])[] = [
  ['DATA', FrameType.Data, (near) => near.send('target')],
  [
    'WINDOW_UPDATE',
    FrameType.WindowUpdate,
    (_, far) => {
      const options = { priority: Priority.Normal, delivery: 'reliable' } as const
      for (let i = 0; i < 4; i++) far.connection.send(new Uint8Array(60_000), options)
    },
  ],
  [
    'KEY_UPDATE',
    FrameType.KeyUpdate,
    async (near) => {
      for (let i = 0; i < 1_200; i++) {
        near.send(`filler ${i}`)
        await Promise.resolve()
        await Promise.resolve()
      }
    },
  ],
  ['PING', FrameType.Ping, (near) => near.connection.probe()],
  ['ACK', FrameType.Ack, (_, far) => far.send('to be acknowledged')],
  ['PONG', FrameType.Pong, (_, far) => far.connection.probe()],
  ['CLOSE', FrameType.Close, (near) => void near.connection.close()],
]

/** What is done to the first frame of the type, and how the session of who listens ends. */
const attacks: readonly (readonly [name: string, Tamper, (type: number) => string])[] = [
  [
    'loses its ENCRYPTED flag',
    ({ bytes }) => {
      const bent = bytes.slice()
      bent[3] = 0
      return [mended(bent)]
    },
    () => 'PLAINTEXT_FRAME',
  ],
  [
    'is forged',
    ({ bytes }) => {
      const bent = bytes.slice()
      bent[bent.length - 5] = (bent[bent.length - 5] as number) ^ 1
      return [mended(bent)]
    },
    () => 'FORGED',
  ],
  ['is dropped', () => [], (type) => (type === FrameType.Close ? 'CONNECTION_LOST' : 'REPLAY')],
  ['comes twice', ({ bytes }) => [bytes, bytes], (type) => (type === FrameType.Close ? 'CLOSED' : 'REPLAY')],
]

/** Sends a frame behind the next one; nothing comes behind a CLOSE. */
function swapped(type: number): Tamper {
  let held: Uint8Array | undefined
  let done = false
  return ({ direction, sealed, type: passing, bytes }) => {
    if (direction === 'down' || !sealed || done) return [bytes]
    if (held !== undefined) {
      done = true
      return [bytes, held]
    }
    if (passing !== type) return [bytes]
    held = bytes
    return []
  }
}

function once(type: number, tamper: Tamper): Tamper {
  let done = false
  return (frame: PassingFrame) => {
    if (done || frame.direction === 'down' || !frame.sealed || frame.type !== type) return [frame.bytes]
    done = true
    return tamper(frame)
  }
}

describe.each(carriers)('somebody in the path of $name', ({ make, dial }) => {
  let far: Station
  let near: Station
  let path: InPath
  /** A connection that does not go by him. */
  let direct: End
  let directFar: End

  beforeAll(async () => {
    far = await Station.up(make)
    near = await Station.up(dial)
    const [address = ''] = far.addresses
    path = await inPath(address)
    direct = await near.dial(address)
    await until(() => far.accepted.length > 0)
    directFar = far.accepted[0] as End
  })

  afterAll(async () => {
    await Promise.all([near.transport.close(), far.transport.close(), path.close()])
  })

  async function through(): Promise<{ ours: End; theirs: End }> {
    const before = far.accepted.length
    const ours = await near.dial(path.address)
    await until(() => far.accepted.length > before)
    return { ours, theirs: far.accepted.at(-1) as End }
  }

  async function attack(
    type: number,
    provoke: (near: End, far: End) => Promise<void> | void,
    tamper: Tamper,
  ): Promise<{ ours: End; theirs: End }> {
    path.tamper = ({ bytes }) => [bytes]
    const { ours, theirs } = await through()
    ours.send('before')
    await until(() => theirs.packets.length === 1)
    path.tamper = tamper
    await provoke(ours, theirs)
    for (let i = 0; theirs.closed === undefined && i < 5_000; i++) {
      // what follows shows that a frame is missing
      if (type !== FrameType.Close && i % 10 === 0) ours.send(`after ${i}`)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await until(() => ours.closed !== undefined)
    return { ours, theirs }
  }

  const cases = types.flatMap(([name, type, provoke]) => [
    ...attacks.map(([what, tamper, code]) => ({
      name,
      type,
      provoke,
      what,
      tamper: once(type, tamper),
      code: code(type),
    })),
    {
      name,
      type,
      provoke,
      what: 'comes behind the next one',
      tamper: swapped(type),
      code: type === FrameType.Close ? 'CONNECTION_LOST' : 'REPLAY',
    },
  ])

  test.each(cases)('$name $what: $code', async ({ type, provoke, tamper, code }) => {
    const { ours, theirs } = await attack(type, provoke, tamper)
    expect(theirs.closed?.code).toBe(code)
    expect(theirs.texts[0]).toBe('before')
    // nothing but what was sent, each once and in order
    const order = theirs.texts.map((text) => Number(text.split(' ')[1] ?? -1))
    expect(order.filter((number) => number >= 0)).toEqual(
      order.filter((number) => number >= 0).sort((one, other) => one - other),
    )
    expect(new Set(theirs.texts).size).toBe(theirs.texts.length)
    if (type !== FrameType.Close) expect(ours.closed?.code).not.toBe('CLOSED')
    // whoever does not go by him notices nothing
    const before = directFar.packets.length
    direct.send('undisturbed')
    await until(() => directFar.packets.length > before)
    expect([direct.closed, directFar.closed]).toEqual([undefined, undefined])
  })

  test('a bare FIN to both sides: CONNECTION_LOST, not an orderly end', async () => {
    path.tamper = ({ bytes }) => [bytes]
    const { ours, theirs } = await through()
    ours.send('one')
    await until(() => theirs.packets.length === 1)
    path.cut('fin')
    await until(() => ours.closed !== undefined && theirs.closed !== undefined)
    for (const { closed } of [ours, theirs]) {
      expect(closed).toMatchObject({ by: 'lost', code: 'CONNECTION_LOST', retryable: true })
    }
  })
})

describe('a node whose first path is cut in mid-send, while somebody captures the second one', () => {
  const canary = 'CANARY-4f1d0c7e-never-in-the-clear'

  async function node(): Promise<AivNode> {
    return createNode({
      identity: await createIdentity(),
      transports: [betanet({ listen }), webSocket({ listen })],
      compressor: lz4Compressor(),
    })
  }

  test('sends everything once and in order, and nothing of it is found in the clear', async () => {
    const sender = await node()
    const recipient = await node()
    const paths: InPath[] = []
    for (const address of recipient.addresses) {
      const path = await inPath(address)
      paths.push(path)
      sender.addAddress(path.address)
    }
    const [first, second] = paths as [InPath, InPath]
    const seen: number[] = []
    recipient.handle('canary/1', (message) => {
      expect(message.from).toBe(sender.id)
      expect(message.text()).toContain(canary)
      seen.push(Number(message.text().split(' ')[0]))
      if (seen.length === 40) first.refuse()
    })
    const messages = Array.from({ length: 200 }, (_, i) =>
      `${i} ${canary} `.padEnd(i % 7 === 0 ? 30_000 : 100, 'canary '),
    )
    const delivered = await Promise.all(
      messages.map(async (text) => (await sender.send(recipient.id, text, { protocol: 'canary/1' })).delivered),
    )
    expect(seen).toEqual(messages.map((_, i) => i))
    // what had arrived over the first one, unacknowledged, was repeated over the second and not delivered again
    expect(delivered.map(({ transport }) => transport)).toContain('websocket')
    expect(first.frames).toBeGreaterThan(5)
    expect(second.frames).toBeGreaterThan(5)
    for (const { seen: bytes } of paths) {
      const all = Buffer.concat(bytes)
      expect(all.length).toBeGreaterThan(10_000)
      for (const secret of ['CANARY', 'canary', sender.id, recipient.id]) {
        expect(all.includes(secret)).toBe(false)
        expect(all.includes(Buffer.from(secret).toString('hex'))).toBe(false)
      }
    }
    await Promise.all([sender.close(), recipient.close()])
    await Promise.all(paths.map((path) => path.close()))
  })
})
