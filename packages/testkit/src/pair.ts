import { type Bytes, type ProtocolCore, byteLength } from '@aiv/transport-api'
import { CoreShell, type CoreShellOptions } from './core-shell.js'
import type { Impairment, ImpairedLink, LinkDirection } from './impaired-link.js'
import { StreamPipe } from './stream-pipe.js'
import type { World } from './world.js'

export interface PairOptions<EventA, EventB = EventA> {
  /** Names of the clocks and ends of the link. @defaultValue ['a', 'b'] */
  readonly names?: readonly [string, string]
  /**
   * `stream`: bytes arrive in order, whole and once whatever the link does, as over TCP: loss only costs time. `packets`:
   * each output is one packet, and what the link does to it is what the core gets. @defaultValue 'stream'
   */
  readonly carry?: 'stream' | 'packets'
  /** What the link does, in both directions. @defaultValue nothing */
  readonly impairment?: Impairment
  /** Stream only: bytes arrive cut at random places, in pieces of at most this size. @defaultValue as they were sent */
  readonly maxPieceBytes?: number
  /** Stream only: output that the socket takes before the shell stops polling. @defaultValue 65_536 */
  readonly socketBytes?: number
  readonly a?: CoreShellOptions<EventA>
  readonly b?: CoreShellOptions<EventB>
}

/** Two cores with their shells and the link between them. */
export interface CorePair<EventA, CoreA, EventB, CoreB> {
  readonly a: CoreShell<EventA, CoreA & ProtocolCore<EventA>>
  readonly b: CoreShell<EventB, CoreB & ProtocolCore<EventB>>
  /** To impair, cut and restore. */
  readonly link: ImpairedLink
}

type EventOf<Core> = Core extends ProtocolCore<infer Event> ? Event : never

/**
 * Puts two cores into a world, with a link between them, and starts both. The whole of a protocol test:
 *
 * ```ts
 * const world = new World({ seed: 7 })
 * const { a, b } = pair(world, new LinkCore(0), new LinkCore(0), { impairment: { delayMs: 50 } })
 * a.touch((core, now) => core.send(now, Uint8Array.of(1)))
 * world.runSync(60_000)
 * b.of('message') // what b's core said
 * ```
 *
 * The cores' own time begins at the world's present: `world.clock('a').now()`.
 */
export function pair<CoreA extends ProtocolCore<EventOf<CoreA>>, CoreB extends ProtocolCore<EventOf<CoreB>>>(
  world: World,
  coreA: CoreA,
  coreB: CoreB,
  options: PairOptions<EventOf<CoreA>, EventOf<CoreB>> = {},
): CorePair<EventOf<CoreA>, CoreA, EventOf<CoreB>, CoreB> {
  const [nameA, nameB] = options.names ?? ['a', 'b']
  const link = world.link(nameA, nameB, options.impairment ?? {})
  const a = new CoreShell<EventOf<CoreA>, CoreA & ProtocolCore<EventOf<CoreA>>>(world, nameA, coreA, options.a)
  const b = new CoreShell<EventOf<CoreB>, CoreB & ProtocolCore<EventOf<CoreB>>>(world, nameB, coreB, options.b)
  join(world, a, b, link.from(nameA), options)
  join(world, b, a, link.from(nameB), options)
  return { a, b, link }
}

interface End {
  readonly name: string
  readonly clock: { whenAwake(run: () => void): boolean }
  connect(outgoing: { canTake(): boolean; take(bytes: Bytes): void }): void
  input(bytes: Uint8Array): void
  drive(): void
}

function join<A, B>(world: World, from: End, to: End, direction: LinkDirection, options: PairOptions<A, B>): void {
  const receive = (bytes: Uint8Array): void => void to.clock.whenAwake(() => to.input(bytes))
  if (options.carry === 'packets') {
    from.connect({
      canTake: () => true,
      take(bytes) {
        const packet = flat(bytes)
        // each copy of a packet is its core's own
        direction.send(packet.length, () => receive(packet.slice()))
      },
    })
    return
  }
  const pipe = new StreamPipe(world, direction, {
    limitBytes: options.socketBytes ?? 65_536,
    maxPieceBytes: options.maxPieceBytes,
    random: world.random(`pieces ${from.name}`),
    receive,
    onRoom: () => from.drive(),
  })
  from.connect({ canTake: () => pipe.hasRoom, take: (bytes) => pipe.write(flat(bytes)) })
}

/** A new buffer: what a core gives out may be shared with its caller, what another takes in is its own. */
function flat(bytes: Bytes): Uint8Array {
  const out = new Uint8Array(byteLength(bytes))
  let offset = 0
  for (const piece of bytes instanceof Uint8Array ? [bytes] : bytes) {
    out.set(piece, offset)
    offset += piece.length
  }
  return out
}
