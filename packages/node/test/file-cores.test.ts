import { describe, expect, test } from '@jest/globals'
import { readFile } from 'node:fs/promises'
import fc from 'fast-check'
import { equalBytes, nodeIdFromBytes, type NodeId } from '@aiv/transport-api'
import {
  decodeFileAnswer,
  encodeAnswer,
  encodeCancel,
  encodeOffer,
  writeDataHeader,
} from '../src/file/file-protocol.js'
import { type FileOffer, type FileStatus } from '../src/file/file-protocol.js'
import { FileReceiverCore, type FileReceiverCoreOptions } from '../src/file/file-receiver-core.js'
import { FileSenderCore, type SenderAction } from '../src/file/file-sender-core.js'

const alice = nodeIdFromBytes(new Uint8Array(16).fill(0xaa))
const bob = nodeIdFromBytes(new Uint8Array(16).fill(0xbb))

const makeOffer = (size: number, fields: Partial<FileOffer> = {}): FileOffer => ({
  transfer: new Uint8Array(8).fill(1),
  id: new Uint8Array(16).fill(2),
  size,
  sha256: new Uint8Array(32),
  name: 'file',
  ...fields,
})

function dataMessage(offer: FileOffer, offset: number, bytes: Uint8Array): Uint8Array {
  const message = new Uint8Array(17 + bytes.length)
  message.set(bytes, 17)
  writeDataHeader(message, offer.transfer, offset)
  return message
}

/** A receiver with a disk of its own: partial files outlive the core, as they outlive a process. */
class Disk {
  readonly parts = new Map<string, number[]>()
  readonly finished: Uint8Array[] = []
}

/** Events in order of time; those of one moment in the order they were made. */
class Schedule {
  now = 0
  #order = 0
  #events: { at: number; order: number; run: () => void }[] = []

  after(delay: number, run: () => void): void {
    this.#events.push({ at: this.now + delay, order: this.#order++, run })
    this.#events.sort((a, b) => a.at - b.at || a.order - b.order)
  }

  step(): boolean {
    const event = this.#events.shift()
    if (event === undefined) return false
    this.now = event.at
    event.run()
    return true
  }
}

interface Faults {
  /** Called for each message; what happens to it. */
  readonly fate: () => { lost: boolean; doubled: boolean; delay: number }
  /** Times at which the receiver is killed and comes back. */
  readonly restarts: readonly number[]
  /** The disk gives wrong bytes back once, after a restart. */
  readonly rot?: boolean
}

const REQUEST_TIMEOUT_MS = 5000

function transfer(file: Uint8Array, faults: Faults, window: number, piece: number) {
  const schedule = new Schedule()
  const disk = new Disk()
  const offer = makeOffer(file.length)
  const sender = new FileSenderCore(0, { size: file.length, windowBytes: window, pieceBytes: piece, maxAttempts: 1000 })
  let receiver!: FileReceiverCore
  let life = 0
  let outcome: SenderAction | undefined
  let mostInFlight = 0
  let tokens = 0
  const answers = new Map<number, (bytes: Uint8Array) => void>()

  const driveReceiver = (): void => {
    const born = life
    const later = (delay: number, run: () => void): void =>
      schedule.after(delay, () => {
        if (born !== life) return
        run()
        driveReceiver()
      })
    for (let action; (action = receiver.pollAction()) !== undefined;) {
      const current = action
      const part = (): number[] => disk.parts.get('part') ?? []
      switch (current.type) {
        case 'answer':
          answers.get(current.token)?.(current.bytes)
          break
        case 'open':
          if (!disk.parts.has('part')) disk.parts.set('part', [])
          later(3, () => receiver.handleOpened(schedule.now, current.key, part().length))
          break
        case 'write':
          // in order: every write takes the same time
          part().push(...current.bytes)
          later(1, () => receiver.handleWritten(schedule.now, current.key))
          break
        case 'finish':
          later(2, () => {
            if (!equalBytes(Uint8Array.from(part()), file)) receiver.handleDiskError(current.key, 'FILE_HASH_MISMATCH')
            else {
              disk.finished.push(Uint8Array.from(part()))
              disk.parts.delete('part')
              receiver.handleFinished(current.key)
            }
          })
          break
        case 'close':
          if (!current.keep) disk.parts.delete('part')
          break
      }
    }
  }

  const startReceiver = (): void => {
    life++
    receiver = new FileReceiverCore({ idleTimeoutMs: 60_000 })
  }
  startReceiver()
  for (const at of faults.restarts) {
    schedule.after(at, () => {
      startReceiver()
      const part = disk.parts.get('part')
      if (faults.rot === true && part?.[0] !== undefined) part[0] ^= 0xff
    })
  }

  const ask = (ref: number, message: Uint8Array): void => {
    let settled = false
    const settle = (run: () => void): void => {
      if (settled) return
      settled = true
      run()
      driveSender()
    }
    schedule.after(REQUEST_TIMEOUT_MS, () => settle(() => sender.handleFailure(schedule.now, ref, 'timeout', true)))
    // what nobody ever answered is not tried again: the first question and its answer arrive
    const first = ref === 1
    const there = first ? { lost: false, doubled: false, delay: 5 } : faults.fate()
    const deliver = (): void => {
      const token = ++tokens
      answers.set(token, (bytes) => {
        answers.delete(token)
        const back = first ? there : faults.fate()
        if (back.lost) return
        schedule.after(back.delay, () => settle(() => sender.handleAnswer(schedule.now, ref, bytes)))
      })
      receiver.handleRequest(schedule.now, alice, token, message.slice())
      driveReceiver()
    }
    if (!there.lost) schedule.after(there.delay, deliver)
    if (there.doubled) schedule.after(there.delay + 7, deliver)
  }

  const driveSender = (): void => {
    for (let action; (action = sender.pollAction(schedule.now)) !== undefined;) {
      if (action.type === 'offer') ask(action.ref, encodeOffer(offer))
      if (action.type === 'piece') {
        ask(action.ref, dataMessage(offer, action.offset, file.subarray(action.offset, action.offset + action.length)))
      }
      if (action.type === 'done' || action.type === 'failed') outcome = action
    }
    mostInFlight = Math.max(mostInFlight, sender.inFlight)
    const at = sender.nextTimeout()
    if (at !== undefined) {
      schedule.after(Math.max(0, at - schedule.now), () => {
        sender.handleTimeout(schedule.now)
        if (outcome === undefined && sender.nextTimeout() !== at) driveSender()
      })
    }
  }
  driveSender()
  for (let steps = 0; outcome === undefined && steps < 200_000; steps++) if (!schedule.step()) break
  return { outcome, disk, mostInFlight, elapsed: schedule.now }
}

const clean = (): Faults => ({ fate: () => ({ lost: false, doubled: false, delay: 10 }), restarts: [] })
const content = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff)

describe('a file between two cores', () => {
  test('arrives whole, once, within the window', () => {
    const file = content(10_000)
    const { outcome, disk, mostInFlight } = transfer(file, clean(), 1000, 100)
    expect(outcome).toEqual({ type: 'done' })
    expect(disk.finished).toEqual([file])
    expect(mostInFlight).toBeLessThanOrEqual(1000)
    expect(mostInFlight).toBeGreaterThan(800)
  })

  test('of no bytes arrives as well', () => {
    const { outcome, disk } = transfer(new Uint8Array(0), clean(), 1000, 100)
    expect(outcome).toEqual({ type: 'done' })
    expect(disk.finished).toEqual([new Uint8Array(0)])
  })

  test('arrives whole and once, whatever is lost, doubled, reordered and however often the receiver is restarted', () => {
    fc.assert(
      fc.property(
        fc.record({
          length: fc.integer({ min: 0, max: 3000 }),
          piece: fc.integer({ min: 50, max: 700 }),
          seed: fc.integer(),
          loss: fc.constantFrom(0, 0.05, 0.2),
          doubled: fc.constantFrom(0, 0.3),
          jitter: fc.constantFrom(0, 40, 400),
          restarts: fc.array(fc.integer({ min: 30, max: 20_000 }), { maxLength: 3 }),
        }),
        ({ length, piece, seed, loss, doubled, jitter, restarts }) => {
          let state = seed >>> 0
          const uniform = (): number => {
            state = (Math.imul(state, 1664525) + 1013904223) >>> 0
            return state / 2 ** 32
          }
          const file = content(length)
          const fate = () => ({ lost: uniform() < loss, doubled: uniform() < doubled, delay: 5 + uniform() * jitter })
          const { outcome, disk } = transfer(file, { fate, restarts }, 1500, piece)
          expect(outcome).toEqual({ type: 'done' })
          // a receiver that is killed between finishing and answering is offered the file once more
          expect(disk.finished.length).toBeLessThanOrEqual(1 + restarts.length)
          for (const finished of disk.finished) expect(finished).toEqual(file)
          expect(disk.finished.length).toBeGreaterThanOrEqual(1)
        },
      ),
      {
        numRuns: 200,
        examples: [
          [{ length: 1505, piece: 376, seed: -1647179754, loss: 0.2, doubled: 0, jitter: 40, restarts: [] }],
          // a late answer after the last piece had been confirmed stopped the sender for good
          [{ length: 2294, piece: 61, seed: 553963436, loss: 0, doubled: 0.3, jitter: 40, restarts: [] }],
        ],
      },
    )
  })

  test('bytes that rotted on the disk between two attempts cost a second transfer, not a wrong file', () => {
    const file = content(5000)
    const { outcome, disk } = transfer(file, { ...clean(), restarts: [60], rot: true }, 500, 100)
    expect(outcome).toEqual({ type: 'done' })
    expect(disk.finished).toEqual([file])
  })
})

describe('the sender', () => {
  const start = (options: Partial<ConstructorParameters<typeof FileSenderCore>[1]> = {}) => {
    const core = new FileSenderCore(0, { size: 1000, pieceBytes: 100, windowBytes: 400, ...options })
    const all = (now: number): SenderAction[] => {
      const actions = []
      for (let action; (action = core.pollAction(now)) !== undefined;) actions.push(action)
      return actions
    }
    const [offer] = all(0)
    if (offer?.type !== 'offer') throw new Error('the first action is an offer')
    return { core, all, offer: offer.ref }
  }
  const answer = (status: FileStatus, have = 0): Uint8Array => encodeAnswer({ status, have })

  test('goes on from what the receiver has', () => {
    const { core, all, offer } = start()
    core.handleAnswer(1, offer, answer('ok', 600))
    const pieces = all(1).filter((action) => action.type === 'piece')
    expect(pieces.map((piece) => piece.offset)).toEqual([600, 700, 800, 900])
  })

  test('ends with the code of a refusal', () => {
    const { core, all, offer } = start()
    core.handleAnswer(1, offer, answer('FILE_TOO_LARGE'))
    expect(all(1)).toEqual([{ type: 'failed', code: 'FILE_TOO_LARGE', cause: undefined }])
    expect(core.nextTimeout()).toBeUndefined()
  })

  test('fails at once when nobody ever answered', () => {
    const { core, all, offer } = start()
    core.handleFailure(1, offer, 'unreachable', true)
    expect(all(1)).toEqual([{ type: 'failed', code: 'REQUEST', cause: 'unreachable' }])
  })

  test('gives up after five failures in a row without progress', () => {
    const { core, all, offer } = start()
    core.handleAnswer(0, offer, answer('ok'))
    let now = 0
    let failures = 0
    for (;;) {
      const actions = all(now)
      const end = actions.find((action) => action.type === 'failed')
      if (end !== undefined) break
      for (const action of actions) {
        if (action.type === 'offer') core.handleAnswer(now, action.ref, answer('ok'))
        if (action.type === 'piece') core.handleFailure(now, action.ref, 'lost', true)
      }
      if (actions.some((action) => action.type === 'piece')) failures++
      if (actions.length > 0) continue
      now = core.nextTimeout() ?? now
      core.handleTimeout(now)
    }
    expect(failures).toBe(6)
  })

  test('a receiver that says wait for ever is waited for ten minutes', () => {
    const { core, all, offer } = start()
    core.handleAnswer(0, offer, answer('wait'))
    let now = 0
    let last: SenderAction | undefined
    while (core.nextTimeout() !== undefined) {
      now = core.nextTimeout() ?? now
      core.handleTimeout(now)
      for (const action of all(now)) {
        last = action
        if (action.type === 'offer') core.handleAnswer(now, action.ref, answer('wait'))
      }
    }
    expect(last).toEqual({ type: 'failed', code: 'FILE_STALLED', cause: undefined })
    expect(now).toBe(600_000)
  })

  test('an answer that claims more bytes than there are ends the transfer', () => {
    const { core, all, offer } = start()
    core.handleAnswer(1, offer, answer('ok', 1001))
    expect(all(1)).toEqual([{ type: 'failed', code: 'FILE_MALFORMED', cause: undefined }])
  })

  test('slow answers make the window smaller, quick ones larger again', () => {
    const { core, all, offer } = start({ size: 100_000, windowBytes: 800 })
    core.handleAnswer(0, offer, answer('ok'))
    let pieces = all(0).filter((action) => action.type === 'piece')
    expect(pieces).toHaveLength(4)
    let have = 0
    const settle = (now: number): void => {
      for (const { ref, length } of pieces) core.handleAnswer(now, ref, answer('ok', (have += length)))
      pieces = all(now).filter((action) => action.type === 'piece')
    }
    settle(100)
    expect(pieces).toHaveLength(8)
    settle(10_000)
    expect(pieces).toHaveLength(4)
    settle(20_000)
    expect(pieces).toHaveLength(2)
    settle(20_100)
    expect(pieces).toHaveLength(4)
  })
})

describe('the receiver', () => {
  const start = (options: FileReceiverCoreOptions = {}) => {
    const core = new FileReceiverCore(options)
    let token = 0
    const drain = () => {
      const actions = []
      for (let action; (action = core.pollAction()) !== undefined;) actions.push(action)
      return actions
    }
    const statuses = (): (FileStatus | undefined)[] =>
      drain().flatMap((action) => (action.type === 'answer' ? [decodeFileAnswer(action.bytes)?.status] : []))
    const ask = (from: NodeId, message: Uint8Array, now = 0): void => core.handleRequest(now, from, ++token, message)
    const open = (from: NodeId, offer: FileOffer, have = 0): string => {
      ask(from, encodeOffer(offer))
      const opened = drain().find((action) => action.type === 'open')
      if (opened === undefined) throw new Error('nothing to open')
      core.handleOpened(0, opened.key, have)
      return opened.key
    }
    return { core, drain, statuses, ask, open }
  }
  const numbered = (n: number, size = 1000): FileOffer =>
    makeOffer(size, { transfer: new Uint8Array(8).fill(n), id: new Uint8Array(16).fill(n) })

  test('refuses a file above the limit, and one that the user does not want', () => {
    const { ask, statuses } = start({ maxFileBytes: 999, accept: (offer) => offer.size > 10 })
    ask(alice, encodeOffer(numbered(1)))
    ask(alice, encodeOffer(numbered(2, 5)))
    expect(statuses()).toEqual(['FILE_TOO_LARGE', 'FILE_REFUSED'])
  })

  test('is busy when one node has four transfers, or all have sixteen', () => {
    const { ask, statuses, open, drain, core } = start({ maxTransfers: 5 })
    for (let n = 0; n < 4; n++) open(alice, numbered(n))
    drain()
    ask(alice, encodeOffer(numbered(4)))
    expect(statuses()).toEqual(['FILE_BUSY'])
    open(bob, numbered(0))
    drain()
    ask(bob, encodeOffer(numbered(1)))
    expect(statuses()).toEqual(['FILE_BUSY'])
    expect(core.transfers).toBe(5)
  })

  test('tells the sender to wait when the disk is behind', () => {
    const { ask, statuses, open, drain, core } = start({ maxPendingBytes: 250 })
    const offer = numbered(1)
    const key = open(alice, offer)
    drain()
    for (const at of [0, 100, 200]) ask(alice, dataMessage(offer, at, new Uint8Array(100)))
    expect(statuses()).toEqual(['wait'])
    core.handleWritten(0, key)
    ask(alice, dataMessage(offer, 200, new Uint8Array(100)))
    expect(statuses()).toEqual(['ok'])
  })

  test('names the place to go on from after a gap, and takes a repeated piece once', () => {
    const { ask, open, drain, core } = start()
    const offer = numbered(1)
    const key = open(alice, offer)
    drain()
    ask(alice, dataMessage(offer, 0, new Uint8Array(100)))
    ask(alice, dataMessage(offer, 200, new Uint8Array(100)))
    ask(alice, dataMessage(offer, 0, new Uint8Array(100)))
    core.handleWritten(0, key)
    const actions = drain()
    expect(actions.filter((action) => action.type === 'write')).toHaveLength(1)
    const answers = actions.flatMap((action) => (action.type === 'answer' ? [decodeFileAnswer(action.bytes)] : []))
    expect(answers).toEqual([
      { status: 'gap', have: 100 },
      { status: 'ok', have: 0 },
      { status: 'ok', have: 100 },
    ])
  })

  test('pieces outside of the file, too large ones and nonsense are malformed; of no known transfer, unknown', () => {
    const { ask, open, drain, statuses } = start()
    const offer = numbered(1)
    open(alice, offer)
    drain()
    ask(alice, dataMessage(offer, 950, new Uint8Array(100)))
    ask(alice, dataMessage(offer, 0, new Uint8Array(1_048_577)))
    ask(alice, Uint8Array.of(9, 9))
    ask(bob, dataMessage(offer, 0, new Uint8Array(100)))
    expect(statuses()).toEqual(['FILE_MALFORMED', 'FILE_MALFORMED', 'FILE_MALFORMED', 'FILE_UNKNOWN'])
  })

  test('the same file offered anew takes the place of the earlier transfer, which hears of it', () => {
    const { ask, open, drain, statuses, core } = start()
    const first = numbered(1)
    open(alice, first)
    open(alice, { ...first, transfer: new Uint8Array(8).fill(9) })
    drain()
    expect(core.transfers).toBe(1)
    ask(alice, dataMessage(first, 0, new Uint8Array(100)))
    expect(statuses()).toEqual(['FILE_SUPERSEDED'])
  })

  test('a silent transfer is closed at the idle time-out and what arrived is kept', () => {
    const { core, open, drain } = start({ idleTimeoutMs: 1000 })
    const key = open(alice, numbered(1))
    drain()
    expect(core.nextTimeout()).toBe(1000)
    core.handleTimeout(999)
    expect(drain()).toEqual([])
    core.handleTimeout(1000)
    expect(drain()).toEqual([
      { type: 'close', key, keep: true },
      { type: 'ended', key, status: 'FILE_ABORTED' },
    ])
    expect(core.nextTimeout()).toBeUndefined()
  })

  test('a cancelled transfer is closed and kept', () => {
    const { core, open, drain, ask } = start()
    const offer = numbered(1)
    const key = open(alice, offer)
    drain()
    ask(alice, encodeCancel(offer.transfer))
    expect(drain()).toContainEqual({ type: 'close', key, keep: true })
    expect(core.transfers).toBe(0)
  })

  test('an offer is told to wait when the disk takes longer than two seconds', () => {
    const { core, ask, drain, statuses } = start()
    ask(alice, encodeOffer(numbered(1)))
    drain()
    expect(core.nextTimeout()).toBe(2000)
    core.handleTimeout(2000)
    expect(statuses()).toEqual(['wait'])
  })

  test('remembers how transfers ended, for the last few', () => {
    const { core, ask, open, drain, statuses } = start({ maxEnded: 1 })
    for (const n of [1, 2]) {
      const key = open(alice, numbered(n), 1000)
      core.handleFinished(key)
    }
    drain()
    ask(alice, dataMessage(numbered(2), 900, new Uint8Array(100)))
    ask(alice, dataMessage(numbered(1), 900, new Uint8Array(100)))
    expect(statuses()).toEqual(['done', 'FILE_UNKNOWN'])
  })
})

test('cores and codecs of the file protocol use no clock, timer, chance or platform', async () => {
  for (const name of ['file-sender-core', 'file-receiver-core', 'file-protocol', 'file-name']) {
    const source = await readFile(new URL(`../src/file/${name}.ts`, import.meta.url), 'utf8')
    expect(source).not.toMatch(/node:|Date\.now|performance\.|setTimeout|setInterval|Math\.random|Buffer|process\./)
  }
})
