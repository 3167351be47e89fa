import { createHash } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { DeviceType, NodeId } from '@aiv/transport-api'
import { CommandError } from '../errors.js'
import { diskError, hashFile } from '../file/part-file.js'
import { makeDemoFile } from './demo-file.js'
import { DemoProcess } from './demo-process.js'
import type { DemoEvent, FileReport, MessagesReport } from './demo-protocol.js'
import { openAir, type DemoAir } from './demo-radio.js'

/** One line of the demo's table. */
export interface DemoRow {
  readonly from: string
  readonly to: string
  readonly what: string
  /** In the order of their use; more than one after a failover. */
  readonly transports: readonly string[]
  readonly bytes: number
  readonly elapsedMs: number
  readonly failoverGapMs: number | undefined
  readonly ok: boolean
  /** What is not as it should be. */
  readonly problem: string | undefined
}

/** One of the three nodes, as it shows itself to the others. */
export interface DemoPeer {
  readonly name: string
  readonly device: DeviceType
  readonly id: NodeId
  readonly pid: number
  readonly addresses: readonly string[]
}

export interface DemoOptions {
  /** Sent instead of a generated file. */
  readonly file?: string
  /** Of the generated file. @defaultValue 64 MiB */
  readonly sizeBytes?: number
  readonly signal: AbortSignal
  readonly onNode: (peer: DemoPeer) => void
  readonly onStep: (text: string) => void
  readonly onRow: (row: DemoRow) => void
  readonly onProgress: (done: number, size: number) => void
  /** What arrives at a node beside what the demo sends. */
  readonly onEvent: (name: string, event: Exclude<DemoEvent, { event: 'progress' }>) => void
}

const nodes = [
  { name: 'desktop', device: 'desktop', htx: true, quic: false },
  { name: 'server', device: 'server', htx: true, quic: true },
  { name: 'fog', device: 'fog', htx: false, quic: true },
] as const
type Name = (typeof nodes)[number]['name']

/** The nodes of the radio mesh, from one end to the other. */
const meshNames = ['phone', 'tablet', 'sensor'] as const
const MESH_MESSAGES = 10
/** With its envelope and its seal one packet of the mesh. */
const MESH_MESSAGE_BYTES = 48

/** The transport that is closed in the middle. */
const CUT_TRANSPORT = 'betanet'
/** When so much of the file has arrived. */
const CUT_SHARE = 1 / 3
const MESSAGES = 50
const MESSAGE_BYTES = 1024
const STEP_TIMEOUT_MS = 60_000
/** A transfer slower than this is not waited for. */
const SLOWEST_BYTES_PER_MS = 1024
/** Smaller files are through before anything can be closed in their middle. */
const MIN_FILE_BYTES = 1_048_576

/**
 * The main job: three nodes in processes of their own send each other messages, and a file, in the middle of which the
 * receiver closes the transport that it comes over; and a mesh of nodes that have Bluetooth LE only. Everything is checked
 * at the other side.
 */
export class Demo implements AsyncDisposable {
  readonly #options: DemoOptions
  readonly #processes = new Map<Name, DemoProcess>()
  readonly #meshProcesses: DemoProcess[] = []
  #air: DemoAir | undefined
  readonly #peers = new Map<Name, DemoPeer>()
  #folder: string | undefined
  #quiet = true
  readonly rows: DemoRow[] = []

  constructor(options: DemoOptions) {
    this.#options = options
  }

  get peers(): readonly DemoPeer[] {
    return [...this.#peers.values()]
  }

  /** True when everything is as it should be. */
  get ok(): boolean {
    return this.rows.length > 0 && this.rows.every((row) => row.ok)
  }

  /** @throws CommandError DEMO_FAILED and what the nodes fail with; the signal's reason */
  async run(): Promise<void> {
    const { onStep } = this.#options
    const folder = await mkdtemp(join(tmpdir(), 'aiv-demo-'))
    this.#folder = folder
    onStep('starting three nodes, each a process of its own')
    await Promise.all(nodes.map((node) => this.#start(node, folder)))
    await this.#introduce()
    onStep(`messages: ${MESSAGES} of ${MESSAGE_BYTES} bytes each way between all of them`)
    for (const from of nodes) for (const to of nodes) if (from !== to) await this.#messages(from.name, to.name, '')
    await this.#file('server', 'desktop', folder)
    onStep('messages once more, between the two that lost HTX')
    await this.#messages('desktop', 'server', ', after the failover')
    await this.#messages('server', 'desktop', ', after the failover')
    await this.#mesh(folder)
    this.#quiet = false
  }

  /** Ends the processes and removes what they wrote. May be called again. */
  async close(): Promise<void> {
    await Promise.all([...this.#processes.values(), ...this.#meshProcesses].map((child) => child.close()))
    await this.#air?.close()
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #start({ name, device, htx, quic }: (typeof nodes)[number], folder: string): Promise<void> {
    const child = new DemoProcess(name, (event) => {
      if (event.event === 'progress') this.#options.onProgress(event.done, event.size)
      else if (!this.#quiet) this.#options.onEvent(name, event)
    })
    this.#processes.set(name, child)
    const directory = join(folder, name)
    const { id, pid, addresses } = await child.ask('start', { device, htx, quic, directory }, this.#limits())
    const peer: DemoPeer = { name, device, id, pid, addresses }
    this.#peers.set(name, peer)
    this.#options.onNode(peer)
  }

  /** What an address book or a friend would do: each node learns where the others are. */
  async #introduce(): Promise<void> {
    for (const { name } of nodes) {
      const others = this.peers.filter((peer) => peer.name !== name)
      const addresses = others.flatMap((peer) => peer.addresses)
      await this.#process(name).ask('learn', { addresses }, this.#limits())
    }
  }

  async #messages(from: Name, to: Name, when: string): Promise<void> {
    const ask = { to: this.#peer(to).id, count: MESSAGES, bytes: MESSAGE_BYTES }
    const sent = await this.#process(from).ask('send', ask, this.#limits())
    const received = await this.#process(to).ask('received', { from: this.#peer(from).id }, this.#limits())
    const problem = messagesProblem(sent, received)
    this.#row({
      from,
      to,
      what: `${sent.count} messages${when}`,
      transports: Object.keys(received.transports),
      bytes: sent.bytes,
      elapsedMs: sent.elapsedMs,
      failoverGapMs: undefined,
      ok: problem === undefined,
      problem,
    })
  }

  /** Nodes in a line, with no other way to each other than by radio. */
  async #mesh(folder: string): Promise<void> {
    const { onStep } = this.#options
    const air = await openAir(folder)
    if (typeof air === 'string') return onStep(`mesh: left out (${air})`)
    this.#air = air
    onStep(`mesh: ${air.radios.length} more nodes, ${air.text}`)
    const peers: { readonly child: DemoProcess; readonly id: NodeId; readonly addresses: readonly string[] }[] = []
    for (const [i, ble] of air.radios.entries()) {
      const name = meshNames[i] ?? `radio ${i}`
      const child = new DemoProcess(name, () => undefined)
      this.#meshProcesses.push(child)
      const directory = join(folder, name)
      // one after another: the order in which they come is the order in the line
      const { id, addresses } = await child.ask(
        'start',
        { device: 'mobile', htx: false, quic: false, ble, directory },
        this.#limits(),
      )
      peers.push({ child, id, addresses })
    }
    const [first, last] = [found(peers[0]), found(peers.at(-1))]
    await first.child.ask('learn', { addresses: last.addresses }, this.#limits())
    const ask = { to: last.id, count: MESH_MESSAGES, bytes: MESH_MESSAGE_BYTES }
    const sent = await first.child.ask('send', ask, this.#limits())
    const received = await last.child.ask('received', { from: first.id }, this.#limits())
    const problem = messagesProblem(sent, received)
    const hops = peers.length - 1
    this.#row({
      from: first.child.name,
      to: last.child.name,
      what: `${sent.count} messages over ${hops} radio hop${hops === 1 ? '' : 's'}`,
      transports: Object.keys(received.transports),
      bytes: sent.bytes,
      elapsedMs: sent.elapsedMs,
      failoverGapMs: undefined,
      ok: problem === undefined,
      problem,
    })
    await Promise.all(this.#meshProcesses.splice(0).map((child) => child.close()))
    this.#air = undefined
    await air.close()
  }

  async #file(from: Name, to: Name, folder: string): Promise<void> {
    const { onStep, file, sizeBytes = 67_108_864 } = this.#options
    const path = file ?? join(folder, 'random.bin')
    const { size, sha256 } = file === undefined ? await generated(path, sizeBytes) : await given(path)
    onStep(`file: ${basename(path)} from ${from} to ${to}; at a third ${to} closes HTX, listener and connections`)
    await this.#process(to).ask('cut-next-file', { transport: CUT_TRANSPORT, share: CUT_SHARE }, this.#limits())
    const ask = { to: this.#peer(to).id, path }
    const timeoutMs = STEP_TIMEOUT_MS + size / SLOWEST_BYTES_PER_MS
    const { elapsedMs } = await this.#process(from).ask('send-file', ask, this.#limits(timeoutMs))
    const report = await this.#process(to).ask('file-report', {}, this.#limits(timeoutMs))
    const problem = fileProblem(report, size, sha256)
    this.#row({
      from,
      to,
      what: `file ${report.name}, SHA-256 ${sha256.slice(0, 8)}…`,
      transports: Object.keys(report.transports),
      bytes: size,
      elapsedMs,
      failoverGapMs: report.gapMs,
      ok: problem === undefined,
      problem,
    })
  }

  #row(row: DemoRow): void {
    this.rows.push(row)
    this.#options.onRow(row)
  }

  #process(name: Name): DemoProcess {
    return found(this.#processes.get(name))
  }

  #peer(name: Name): DemoPeer {
    return found(this.#peers.get(name))
  }

  #limits(timeoutMs = STEP_TIMEOUT_MS): { timeoutMs: number; signal: AbortSignal } {
    return { timeoutMs, signal: this.#options.signal }
  }
}

function found<T>(value: T | undefined): T {
  if (value === undefined) throw new CommandError('DEMO_FAILED', 'a node is missing')
  return value
}

function messagesProblem(sent: MessagesReport, received: Omit<MessagesReport, 'elapsedMs'>): string | undefined {
  if (received.count !== sent.count) return `${received.count} of ${sent.count} messages arrived`
  if (received.sha256 !== sent.sha256) return 'other bytes, or another order, than were sent'
  return undefined
}

function fileProblem(report: FileReport, size: number, sha256: string): string | undefined {
  if (report.size !== size) return `${report.size} of ${size} bytes arrived`
  if (report.sha256 !== sha256) return 'the hash at the other side is another one'
  if (report.cutAtBytes === undefined) return `${CUT_TRANSPORT} was not closed in the middle`
  const before = report.transports[CUT_TRANSPORT] ?? 0
  if (before === 0) return `nothing came over ${CUT_TRANSPORT}, so that there was no failover`
  if (before === size || report.gapMs === undefined) return 'nothing came over another transport after the cut'
  return undefined
}

async function generated(path: string, size: number): Promise<{ size: number; sha256: string }> {
  return { size, sha256: await makeDemoFile(path, size) }
}

async function given(path: string): Promise<{ size: number; sha256: string }> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw diskError(error)
  })
  try {
    const info = await handle.stat()
    if (!info.isFile() || info.size < MIN_FILE_BYTES) {
      throw new CommandError('DEMO_FAILED', `${path} is no file of at least 1 MiB`, {
        hint: 'a smaller one is through before anything can be closed in its middle; without --file one is generated',
      })
    }
    const hash = createHash('sha256')
    await hashFile(handle, info.size, hash)
    return { size: info.size, sha256: hash.digest('hex') }
  } finally {
    await handle.close()
  }
}
