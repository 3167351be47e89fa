/** Hosts that a handshake succeeded from, the most recent ones: their unfinished handshakes have places kept for them. */
export class KnownHosts {
  readonly #limit: number
  /** The one unseen for longest first. */
  readonly #hosts = new Set<string>()

  /** @param limit - how many are remembered; the one unseen for longest is forgotten first. */
  constructor(limit: number) {
    this.#limit = limit
  }

  get size(): number {
    return this.#hosts.size
  }

  has(host: string): boolean {
    return this.#hosts.has(host)
  }

  add(host: string): void {
    this.#hosts.delete(host)
    this.#hosts.add(host)
    if (this.#hosts.size <= this.#limit) return
    for (const oldest of this.#hosts) {
      this.#hosts.delete(oldest)
      return
    }
  }
}
