import { type NodeId, type Priority, priorities } from '@aiv/transport-api'

/** What stands in a {@link FairQueue}. */
export interface Queued {
  readonly priority: Priority
  /** The link that it came in on; `undefined`: our own. */
  readonly from: number | undefined
  readonly source: NodeId
}

type Link = number | undefined

/** What waits of one link, by source; whoever was served stands at the end again. */
interface Waiting<T> {
  readonly sources: Map<NodeId, T[]>
  count: number
}

/**
 * Packets that wait for one link. Priorities are strict; within one the links that the packets came in on take turns,
 * and among the packets of a link their sources do: a neighbour that sends much, under however many names, delays itself.
 * When it is full the link with the most packets loses its youngest of the source with the most, in the lowest priority.
 */
export class FairQueue<T extends Queued> {
  readonly #levels = priorities.map(() => new Map<Link, Waiting<T>>())
  readonly #maxItems: number
  #size = 0

  constructor(maxItems: number) {
    this.#maxItems = maxItems
  }

  get size(): number {
    return this.#size
  }

  /** Gives what had to go for it: nothing, another one, or the item itself. */
  push(item: T): T | undefined {
    const level = this.#levels[item.priority] as Map<Link, Waiting<T>>
    const waiting = level.get(item.from) ?? { sources: new Map<NodeId, T[]>(), count: 0 }
    const list = waiting.sources.get(item.source) ?? []
    list.push(item)
    waiting.sources.set(item.source, list)
    waiting.count++
    level.set(item.from, waiting)
    this.#size++
    return this.#size > this.#maxItems ? this.#dropOne() : undefined
  }

  shift(): T | undefined {
    const level = this.#levels.find((candidate) => candidate.size > 0)
    const [link, waiting] = level?.entries().next().value ?? []
    const [source, list] = waiting?.sources.entries().next().value ?? []
    const item = list?.shift()
    if (level === undefined || waiting === undefined || list === undefined || item === undefined) return undefined
    waiting.sources.delete(source as NodeId)
    if (list.length > 0) waiting.sources.set(source as NodeId, list)
    waiting.count--
    level.delete(link)
    if (waiting.count > 0) level.set(link, waiting)
    this.#size--
    return item
  }

  #dropOne(): T | undefined {
    const level = this.#levels.findLast((candidate: Map<Link, Waiting<T>>) => candidate.size > 0)
    if (level === undefined) return undefined
    const [link, waiting] = most(level, ({ count }) => count)
    const [source, list] = most(waiting.sources, ({ length }) => length)
    const dropped = list.pop()
    if (list.length === 0) waiting.sources.delete(source)
    if (--waiting.count === 0) level.delete(link)
    this.#size--
    return dropped
  }
}

/** The entry of a map, which is not empty, that is largest. */
function most<K, V>(map: ReadonlyMap<K, V>, size: (value: V) => number): [K, V] {
  let [best, bestSize]: [[K, V] | undefined, number] = [undefined, -1]
  for (const entry of map) {
    const entrySize = size(entry[1])
    if (entrySize > bestSize) [best, bestSize] = [entry, entrySize]
  }
  return best as [K, V]
}
