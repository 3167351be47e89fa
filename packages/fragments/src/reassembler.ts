import { type Millis, type ProtocolCore, toHex } from '@aiv/transport-api'
import { Assembly } from './assembly.js'
import { encodeBlockAck } from './block-ack.js'
import { type Fragment, decodeFragment } from './fragment.js'
import { type ReassemblerOptions, verifyReassemblerOptions } from './options.js'

/** Bytes from or to a peer: what a connection is called, compared as keys of a `Map` are. */
export interface PeerBytes<Peer> {
  readonly peer: Peer
  readonly bytes: Uint8Array
}

/**
 * Why a message will not be put together. `FRAGMENTS_CONFLICT`: its fragments do not belong together.
 * `FRAGMENTS_DIGEST`: they do, but the whole is not what was sent. `FRAGMENTS_TOO_LARGE`. `FRAGMENTS_QUOTA`: the peer's
 * own share of memory, or everybody's, is used up. `FRAGMENTS_EXPIRED`: nothing came for too long.
 */
export type DropCode =
  'FRAGMENTS_CONFLICT' | 'FRAGMENTS_DIGEST' | 'FRAGMENTS_TOO_LARGE' | 'FRAGMENTS_QUOTA' | 'FRAGMENTS_EXPIRED'

export type ReassemblerEvent<Peer> =
  /** `bytes` is yours. */
  | { readonly type: 'message'; readonly peer: Peer; readonly bytes: Uint8Array }
  | { readonly type: 'dropped'; readonly peer: Peer; readonly code: DropCode }

interface Finished {
  readonly state: 'complete' | 'refused'
  readonly total: number
  until: Millis
  answeredAt: Millis
}

interface PeerState<Peer> {
  readonly peer: Peer
  bytes: number
  /** By id in hex, in the order of their beginning. */
  readonly assemblies: Map<string, Assembly>
  readonly finished: Map<string, Finished>
}

/**
 * The receiving end of all connections of a node: puts fragments together and says which are missing. Input: fragments of
 * authenticated peers. Output: block acknowledgements. Assemblies are keyed by peer and id, so that nobody touches what
 * another sends, and a peer is held to its share: when everything is full, whoever holds most gives way.
 */
export class Reassembler<Peer> implements ProtocolCore<ReassemblerEvent<Peer>, PeerBytes<Peer>, PeerBytes<Peer>> {
  readonly #sha256: (bytes: Uint8Array) => Uint8Array
  readonly #options: Required<ReassemblerOptions>
  readonly #peers = new Map<Peer, PeerState<Peer>>()
  #assemblies = 0
  #bytes = 0
  #finished = 0
  readonly #events: ReassemblerEvent<Peer>[] = []
  readonly #output: PeerBytes<Peer>[] = []

  /** @throws ArgumentError for options out of their range. */
  constructor(components: { readonly sha256: (bytes: Uint8Array) => Uint8Array }, options: ReassemblerOptions = {}) {
    this.#sha256 = components.sha256
    this.#options = verifyReassemblerOptions(options)
  }

  /** Unfinished messages, and what they take of `maxBytes`. */
  get load(): { readonly assemblies: number; readonly bytes: number } {
    return { assemblies: this.#assemblies, bytes: this.#bytes }
  }

  /** The connection is gone, and with it what was unfinished. */
  forget(peer: Peer): void {
    const state = this.#peers.get(peer)
    if (state === undefined) return
    for (const [key, assembly] of state.assemblies) this.#remove(state, key, assembly)
    this.#finished -= state.finished.size
    this.#peers.delete(peer)
  }

  handleInput(now: Millis, { peer, bytes }: PeerBytes<Peer>): void {
    const fragment = decodeFragment(bytes)
    if (fragment === undefined) return
    const key = toHex(fragment.id)
    let state = this.#peers.get(peer)
    const finished = state?.finished.get(key)
    if (state !== undefined && finished !== undefined && now < finished.until) {
      this.#answerAgain(now, state, key, fragment.id, finished)
      return
    }
    if (state === undefined) {
      state = { peer, bytes: 0, assemblies: new Map(), finished: new Map() }
      this.#peers.set(peer, state)
    }
    this.#take(now, state, key, fragment)
  }

  handleTimeout(now: Millis): void {
    for (const state of this.#peers.values()) {
      for (const [key, assembly] of state.assemblies) {
        if (now >= assembly.lastAt + this.#options.assemblyTimeoutMs) {
          this.#drop(now, state, key, assembly, 'FRAGMENTS_EXPIRED')
        } else if (assembly.ackAt !== undefined && now >= assembly.ackAt) {
          this.#acknowledge(now, state, assembly)
        }
      }
      for (const [key, { until }] of state.finished) {
        if (now < until) break
        state.finished.delete(key)
        this.#finished--
      }
      if (state.assemblies.size === 0 && state.finished.size === 0) this.#peers.delete(state.peer)
    }
  }

  pollOutput(): PeerBytes<Peer> | undefined {
    return this.#output.shift()
  }

  pollEvent(): ReassemblerEvent<Peer> | undefined {
    return this.#events.shift()
  }

  nextTimeout(): Millis | undefined {
    let next = Number.POSITIVE_INFINITY
    for (const { assemblies, finished } of this.#peers.values()) {
      for (const { ackAt, lastAt } of assemblies.values()) {
        next = Math.min(next, ackAt ?? Number.POSITIVE_INFINITY, lastAt + this.#options.assemblyTimeoutMs)
      }
      // in the order of their end
      for (const { until } of finished.values()) {
        next = Math.min(next, until)
        break
      }
    }
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }

  #take(now: Millis, state: PeerState<Peer>, key: string, fragment: Fragment): void {
    const { maxMessageBytes, ackEvery, ackDelayMs } = this.#options
    let assembly = state.assemblies.get(key)
    if (assembly === undefined) {
      if (Assembly.isTooMany(fragment.total, maxMessageBytes)) {
        this.#refuse(now, state, key, fragment, 'FRAGMENTS_TOO_LARGE')
        return
      }
      assembly = new Assembly(new Uint8Array(fragment.id), fragment.total, now, maxMessageBytes)
    }
    const fate = assembly.check(fragment)
    if (fate === 'conflict' || fate === 'too-large') {
      const code = fate === 'conflict' ? 'FRAGMENTS_CONFLICT' : 'FRAGMENTS_TOO_LARGE'
      if (state.assemblies.has(key)) this.#drop(now, state, key, assembly, code)
      else this.#refuse(now, state, key, fragment, code)
      return
    }
    if (fate === 'seen') {
      // the other side has not heard what we have: it is told soon, and once for all that come in a row
      assembly.ackAt = Math.min(assembly.ackAt ?? Number.POSITIVE_INFINITY, now + ackDelayMs / 8)
      return
    }
    if (!this.#makeRoom(now, state, key, assembly, fragment)) return
    assembly.add(now, fragment)
    const cost = Assembly.cost(fragment.data)
    state.bytes += cost
    this.#bytes += cost
    if (assembly.isComplete) this.#finish(now, state, key, assembly)
    else if (assembly.unacknowledged >= ackEvery) this.#acknowledge(now, state, assembly)
    else assembly.ackAt = now + ackDelayMs
  }

  /** Registers the assembly when it is new. False: refused. */
  #makeRoom(now: Millis, state: PeerState<Peer>, key: string, assembly: Assembly, fragment: Fragment): boolean {
    const { maxAssemblies, maxAssembliesPerPeer, maxBytes, maxBytesPerPeer } = this.#options
    const isNew = !state.assemblies.has(key)
    const cost = Assembly.cost(fragment.data)
    const refuse = (): false => {
      if (isNew) this.#refuse(now, state, key, fragment, 'FRAGMENTS_QUOTA')
      else this.#drop(now, state, key, assembly, 'FRAGMENTS_QUOTA')
      return false
    }
    if (state.bytes + cost > maxBytesPerPeer) return refuse()
    if (isNew && state.assemblies.size >= maxAssembliesPerPeer) return refuse()
    while (this.#bytes + cost > maxBytes) if (!this.#evict(now, state, (other) => other.bytes)) return refuse()
    if (!isNew) return true
    while (this.#assemblies >= maxAssemblies) {
      if (!this.#evict(now, state, (other) => other.assemblies.size)) return refuse()
    }
    state.assemblies.set(key, assembly)
    this.#assemblies++
    return true
  }

  /** The oldest of whoever holds most gives way; false: that is the newcomer itself. */
  #evict(now: Millis, newcomer: PeerState<Peer>, load: (state: PeerState<Peer>) => number): boolean {
    let fullest = newcomer
    for (const state of this.#peers.values()) if (load(state) > load(fullest)) fullest = state
    if (fullest === newcomer) return false
    for (const [key, assembly] of fullest.assemblies) {
      this.#drop(now, fullest, key, assembly, 'FRAGMENTS_QUOTA')
      return true
    }
    return false
  }

  #finish(now: Millis, state: PeerState<Peer>, key: string, assembly: Assembly): void {
    const bytes = assembly.finish(this.#sha256)
    if (bytes === undefined) {
      this.#drop(now, state, key, assembly, 'FRAGMENTS_DIGEST')
      return
    }
    this.#remove(state, key, assembly)
    this.#events.push({ type: 'message', peer: state.peer, bytes })
    this.#remember(now, state, key, assembly.id, assembly.total, 'complete')
  }

  #drop(now: Millis, state: PeerState<Peer>, key: string, assembly: Assembly, code: DropCode): void {
    this.#remove(state, key, assembly)
    this.#events.push({ type: 'dropped', peer: state.peer, code })
    this.#remember(now, state, key, assembly.id, assembly.total, 'refused')
  }

  #refuse(now: Millis, state: PeerState<Peer>, key: string, { id, total }: Fragment, code: DropCode): void {
    this.#events.push({ type: 'dropped', peer: state.peer, code })
    this.#remember(now, state, key, id, total, 'refused')
  }

  #remove(state: PeerState<Peer>, key: string, assembly: Assembly): void {
    if (!state.assemblies.delete(key)) return
    this.#assemblies--
    state.bytes -= assembly.bytes
    this.#bytes -= assembly.bytes
  }

  /** Says how it ended, and keeps the id, so that repeats on their way get the same answer. */
  #remember(
    now: Millis,
    state: PeerState<Peer>,
    key: string,
    id: Uint8Array,
    total: number,
    end: 'complete' | 'refused',
  ): void {
    if (this.#finished >= this.#options.maxFinished) this.#forgetFinished(state)
    const finished = { state: end, total, until: now + this.#options.assemblyTimeoutMs, answeredAt: now }
    if (state.finished.delete(key)) this.#finished--
    state.finished.set(key, finished)
    this.#finished++
    this.#answer(state, id, finished)
  }

  /** Own memories go before those of others. */
  #forgetFinished(state: PeerState<Peer>): void {
    for (const other of [state, ...this.#peers.values()]) {
      for (const key of other.finished.keys()) {
        other.finished.delete(key)
        this.#finished--
        return
      }
    }
  }

  #answerAgain(now: Millis, state: PeerState<Peer>, key: string, id: Uint8Array, finished: Finished): void {
    // what was on its way when the answer left is no reason for another one
    if (now < finished.answeredAt + this.#options.ackDelayMs / 2) return
    finished.answeredAt = now
    // for as long as somebody asks, and to the end of the order
    finished.until = now + this.#options.assemblyTimeoutMs
    state.finished.delete(key)
    state.finished.set(key, finished)
    this.#answer(state, id, finished)
  }

  #answer({ peer }: PeerState<Peer>, id: Uint8Array, { state, total }: Finished): void {
    const first = state === 'complete' ? total : 0
    this.#output.push({ peer, bytes: encodeBlockAck({ id, state, first, bitmap: new Uint8Array(0) }) })
  }

  #acknowledge(now: Millis, { peer }: PeerState<Peer>, assembly: Assembly): void {
    assembly.unacknowledged = 0
    this.#output.push({ peer, bytes: encodeBlockAck(assembly.ack()) })
    // an acknowledgement may be lost as well: a few more, further and further apart
    assembly.ackAt = assembly.fruitless < 4 ? now + this.#options.ackDelayMs * 2 ** (assembly.fruitless + 1) : undefined
    assembly.fruitless++
  }
}
