/** A queue in a ring that doubles when full; both ends cost the same however long it is. */
export class Fifo<T> {
  #ring: (T | undefined)[] = []
  #head = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: T): void {
    const size = this.#ring.length
    if (this.#length === size) this.#grow(size === 0 ? 4 : size * 2)
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = value
    this.#length += 1
  }

  /** The oldest one, which stays. */
  peek(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[this.#head]
  }

  /** The youngest one, which stays. */
  last(): T | undefined {
    return this.#length === 0 ? undefined : this.#ring[(this.#head + this.#length - 1) & (this.#ring.length - 1)]
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined
    const value = this.#ring[this.#head]
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#length -= 1
    // a ring that was long once shall not stay so on a connection that idles
    if (this.#length === 0 && this.#ring.length > 1024) {
      this.#ring = []
      this.#head = 0
    }
    return value
  }

  /** Takes out all for which `drop` is true, keeping the order of the others. */
  remove(drop: (value: T) => boolean): void {
    for (let left = this.#length; left > 0; left--) {
      const value = this.shift() as T
      if (!drop(value)) this.push(value)
    }
  }

  #grow(size: number): void {
    const old = this.#ring
    const ring = new Array<T | undefined>(size)
    for (let i = 0; i < this.#length; i++) ring[i] = old[(this.#head + i) & (old.length - 1)]
    this.#ring = ring
    this.#head = 0
  }
}
