import type { Connection, NodeId, TransportHost } from '@aiv/transport-api'
import { Keeper } from './keeper.js'

/** A host that attaches to whatever comes. */
export class TestHost implements TransportHost {
  addresses: readonly string[] = []
  readonly accepted: Keeper[] = []
  readonly downs: Error[] = []
  announcements = 0
  admits: (from: { readonly address: string | undefined; readonly node: NodeId | undefined }) => boolean = () => true
  whenAccepted: ((keeper: Keeper) => void) | undefined
  #waiting: ((keeper: Keeper) => void)[] = []

  admit(from: { readonly address: string | undefined; readonly node: NodeId | undefined }): boolean {
    return this.admits(from)
  }

  onConnection(connection: Connection): void {
    const keeper = new Keeper(connection)
    this.accepted.push(keeper)
    this.whenAccepted?.(keeper)
    this.#waiting.shift()?.(keeper)
  }

  onListening(addresses: readonly string[]): void {
    this.addresses = addresses
    this.announcements++
  }

  onDown(error: Error): void {
    this.downs.push(error)
  }

  /** The next connection that is accepted. */
  next(): Promise<Keeper> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
