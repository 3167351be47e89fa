import { ArgumentError } from '@aiv/transport-api'

/**
 * Memory that all sessions of a node together may reserve for unfinished messages, so that many sessions with a few
 * large ones each cannot take more than this.
 */
export class ReassemblyBudget {
  readonly #maxBytes: number
  #reservedBytes = 0

  /** @param maxBytes - in all. @defaultValue 256 MiB */
  constructor(maxBytes = 256 * 1024 * 1024) {
    if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) throw new ArgumentError(`a budget of ${maxBytes} bytes`)
    this.#maxBytes = maxBytes
  }

  /** Bytes reserved now. */
  get reservedBytes(): number {
    return this.#reservedBytes
  }

  /** False, and nothing is reserved, when that would be too much. */
  tryReserve(bytes: number): boolean {
    if (this.#reservedBytes + bytes > this.#maxBytes) return false
    this.#reservedBytes += bytes
    return true
  }

  /** Gives back what {@link tryReserve} took. */
  release(bytes: number): void {
    this.#reservedBytes -= bytes
  }
}

/** One for each node in this process, gone with its identity: two transports of a node share what it may hold. */
const budgets = new WeakMap<object, ReassemblyBudget>()

/** The budget that all transports of this node share; `identity` stands for the node. */
export function budgetOf(identity: object): ReassemblyBudget {
  let budget = budgets.get(identity)
  if (budget === undefined) budgets.set(identity, (budget = new ReassemblyBudget()))
  return budget
}
