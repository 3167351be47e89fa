import { joinBytes, type Millis } from '@aiv/transport-api'
import type { Fragment } from './fragment.js'
import type { PeerId } from './peer-id.js'

export interface ReassemblyLimits {
  /** Unfinished packets in all; beyond, the oldest goes. */
  readonly maxAssemblies: number
  /** Of those, how many one link may have begun; beyond, its own oldest goes. */
  readonly maxAssembliesPerLink: number
  /** Fragments of one packet; more are refused. */
  readonly maxFragments: number
  /** Bytes of one packet; beyond, it is dropped. */
  readonly maxAssemblyBytes: number
  /** Bytes in all; beyond, the oldest goes. */
  readonly maxTotalBytes: number
  /** From the first fragment on, in ms. */
  readonly lifetimeMs: number
  /** Without a new fragment, in ms, until the missing ones are asked for. */
  readonly stallMs: number
  /** Between two such questions, in ms. */
  readonly retryMs: number
}

interface Assembly {
  readonly key: string
  readonly id: string
  readonly link: number
  readonly broadcast: boolean
  readonly total: number
  readonly type: number
  readonly pieces: Map<number, Uint8Array>
  readonly beganAt: Millis
  bytes: number
  askAt: Millis
}

/** Finished ids that are remembered, so that a late copy of a fragment does not begin anew. */
const MAX_FINISHED = 256

/**
 * Fragments to packets. What is unfinished belongs to the link over which it began, so that whoever floods displaces
 * what came over his own link; ids of senders cost nothing.
 */
export class Reassembly {
  readonly #limits: ReassemblyLimits
  /** The oldest first. */
  readonly #assemblies = new Map<string, Assembly>()
  readonly #finished = new Set<string>()
  #bytes = 0

  constructor(limits: ReassemblyLimits) {
    this.#limits = limits
  }

  /** Unfinished packets. */
  get size(): number {
    return this.#assemblies.size
  }

  /** Bytes held for them. */
  get bytes(): number {
    return this.#bytes
  }

  /** The whole packet when this was its last fragment. A copy of an index that is there changes nothing. */
  add(
    now: Millis,
    from: { readonly link: number; readonly sender: PeerId; readonly broadcast: boolean },
    fragment: Fragment,
  ): Uint8Array | undefined {
    const { maxFragments, maxAssemblyBytes, maxTotalBytes, stallMs } = this.#limits
    const key = `${from.sender} ${fragment.id}`
    if (fragment.total > maxFragments || this.#finished.has(key)) return undefined
    const assembly = this.#assemblies.get(key) ?? this.#begin(now, key, from, fragment)
    if (assembly.total !== fragment.total || assembly.type !== fragment.type) return undefined
    if (assembly.pieces.has(fragment.index)) return undefined
    if (assembly.bytes + fragment.data.length > maxAssemblyBytes) {
      this.#drop(assembly)
      return undefined
    }
    assembly.pieces.set(fragment.index, fragment.data)
    assembly.bytes += fragment.data.length
    assembly.askAt = now + stallMs
    this.#bytes += fragment.data.length
    for (const oldest of this.#assemblies.values()) {
      if (this.#bytes <= maxTotalBytes) break
      if (oldest !== assembly) this.#drop(oldest)
    }
    if (assembly.pieces.size < assembly.total) return undefined
    this.#drop(assembly)
    this.#finished.add(key)
    for (const old of this.#finished) {
      if (this.#finished.size <= MAX_FINISHED) break
      this.#finished.delete(old)
    }
    return joinBytes(Array.from({ length: assembly.total }, (_, i) => assembly.pieces.get(i) ?? new Uint8Array(0)))
  }

  /** Forgets what is too old; gives the ids of broadcasts that wait for fragments since long enough to ask for them. */
  handleTimeout(now: Millis, most: number): string[] {
    const stalled: string[] = []
    for (const assembly of [...this.#assemblies.values()]) {
      if (now >= assembly.beganAt + this.#limits.lifetimeMs) this.#drop(assembly)
      else if (assembly.broadcast && now >= assembly.askAt && stalled.length < most) {
        assembly.askAt = now + this.#limits.retryMs
        stalled.push(assembly.id)
      }
    }
    return stalled
  }

  nextTimeout(): Millis | undefined {
    let next: Millis | undefined
    for (const { beganAt, broadcast, askAt } of this.#assemblies.values()) {
      const end = beganAt + this.#limits.lifetimeMs
      const at = broadcast ? Math.min(askAt, end) : end
      if (next === undefined || at < next) next = at
    }
    return next
  }

  #begin(
    now: Millis,
    key: string,
    { link, broadcast }: { readonly link: number; readonly broadcast: boolean },
    { id, total, type }: Fragment,
  ): Assembly {
    const { maxAssemblies, maxAssembliesPerLink, stallMs } = this.#limits
    const own = [...this.#assemblies.values()].filter((assembly) => assembly.link === link)
    const [oldestOwn] = own
    if (own.length >= maxAssembliesPerLink && oldestOwn !== undefined) this.#drop(oldestOwn)
    for (const oldest of this.#assemblies.values()) {
      if (this.#assemblies.size < maxAssemblies) break
      this.#drop(oldest)
    }
    const assembly: Assembly = {
      key,
      id,
      link,
      broadcast,
      total,
      type,
      pieces: new Map(),
      beganAt: now,
      bytes: 0,
      askAt: now + stallMs,
    }
    this.#assemblies.set(key, assembly)
    return assembly
  }

  #drop(assembly: Assembly): void {
    if (this.#assemblies.delete(assembly.key)) this.#bytes -= assembly.bytes
  }
}
