import { expect, test } from '@jest/globals'
import { joinBytes } from '@aiv/transport-api'
import { SeededRandom } from '@aiv/testkit'
import { Fragmenter, Reassembler, decodeFragment } from '../src/index.js'
import { sha256 } from './carrier.js'

test('a lost message is repeated although others are answered all the time', () => {
  const sender = new Fragmenter({ sha256, random: new SeededRandom('lone') })
  const receiver = new Reassembler<string>({ sha256 })
  const arrived: number[] = []
  const give = (now: number, isLost: boolean): void => {
    for (let out; (out = sender.pollOutput(now)) !== undefined;) {
      if (!isLost) receiver.handleInput(now, { peer: 'a', bytes: joinBytes(out).slice() })
    }
    for (let event; (event = receiver.pollEvent()) !== undefined;) {
      if (event.type === 'message') arrived.push(event.bytes[0] as number)
    }
    for (let ack; (ack = receiver.pollOutput()) !== undefined;) sender.handleInput(now, ack.bytes)
  }
  for (let n = 0; n < 60; n++) {
    sender.send(new Uint8Array(50).fill(n))
    give(n * 100, n === 5)
  }
  expect(arrived).toContain(5)
  expect(arrived.indexOf(5)).toBeLessThan(45)
})

test('a receiver that has given up and begins anew gets everything again', () => {
  const sender = new Fragmenter({ sha256, random: new SeededRandom('anew') }, { maxTimeouts: 100 })
  let receiver = new Reassembler<string>({ sha256 })
  const message = new Uint8Array(1_500).map((_, at) => at)
  sender.send(message)
  const got: Uint8Array[] = []
  let isCut = false
  for (let now = 0; now < 120_000; now += 50) {
    for (const core of [sender, receiver]) {
      const at = core.nextTimeout()
      if (at !== undefined && at <= now) core.handleTimeout(now)
    }
    for (let out; (out = sender.pollOutput(now)) !== undefined;) {
      const bytes = joinBytes(out).slice()
      // all but the last few arrive, then nothing for a while, in which the other side forgets
      if (!isCut && (decodeFragment(bytes)?.index ?? 0) < 6) receiver.handleInput(now, { peer: 'a', bytes })
      else if (isCut && now > 60_000) receiver.handleInput(now, { peer: 'a', bytes })
    }
    for (let event; (event = receiver.pollEvent()) !== undefined;) if (event.type === 'message') got.push(event.bytes)
    for (let ack; (ack = receiver.pollOutput()) !== undefined;) sender.handleInput(now, ack.bytes)
    if (now === 5_000) {
      isCut = true
      receiver = new Reassembler<string>({ sha256 })
    }
  }
  expect(got).toEqual([message])
})
