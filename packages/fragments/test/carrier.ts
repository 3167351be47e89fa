import { createHash } from 'node:crypto'
import { type Bytes, type Millis, type ProtocolCore, joinBytes } from '@aiv/transport-api'
import { SeededRandom } from '@aiv/testkit'
import {
  Fragmenter,
  type FragmenterEvent,
  type FragmenterOptions,
  Reassembler,
  type ReassemblerEvent,
  type ReassemblerOptions,
} from '../src/index.js'

export const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

export const randomBytes = (seed: string, length: number): Uint8Array => new SeededRandom(seed).bytes(length)

/** Both ends of a connection in one core, as a transport has them: one byte says which of the two a packet is for. */
export class Carrier implements ProtocolCore<FragmenterEvent | ReassemblerEvent<string>> {
  readonly fragmenter: Fragmenter
  readonly reassembler: Reassembler<string>

  constructor(seed: string, options: FragmenterOptions & ReassemblerOptions = {}) {
    this.fragmenter = new Fragmenter({ sha256, random: new SeededRandom(seed) }, options)
    this.reassembler = new Reassembler({ sha256 }, options)
  }

  handleInput(now: Millis, input: Uint8Array): void {
    const bytes = input.subarray(1)
    if (input[0] === 0) this.reassembler.handleInput(now, { peer: 'other', bytes })
    else this.fragmenter.handleInput(now, bytes)
  }

  handleTimeout(now: Millis): void {
    this.fragmenter.handleTimeout(now)
    this.reassembler.handleTimeout(now)
  }

  pollOutput(now: Millis): Bytes | undefined {
    const ack = this.reassembler.pollOutput()
    if (ack !== undefined) return joinBytes([Uint8Array.of(1), ack.bytes])
    const fragment = this.fragmenter.pollOutput(now)
    return fragment === undefined ? undefined : joinBytes([Uint8Array.of(0), joinBytes(fragment)])
  }

  pollEvent(): FragmenterEvent | ReassemblerEvent<string> | undefined {
    return this.fragmenter.pollEvent() ?? this.reassembler.pollEvent()
  }

  nextTimeout(): Millis | undefined {
    const a = this.fragmenter.nextTimeout() ?? Number.POSITIVE_INFINITY
    const b = this.reassembler.nextTimeout() ?? Number.POSITIVE_INFINITY
    const next = Math.min(a, b)
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }
}
