import { describe, expect, test } from '@jest/globals'
import { ArgumentError, Priority } from '@aiv/transport-api'
import { InboundTable, type InboundDelivery, type InboundMessage, type InboundTableOptions } from '../src/index.js'

const epochs = ['0000000000000001', '0000000000000002', '0000000000000003', '0000000000000004', '0000000000000005']
const [first = '', second = '', third = '', fourth = '', fifth = ''] = epochs

function message(counter: number): InboundMessage {
  return { priority: Priority.Normal, counter, ordered: true, acknowledge: true, payload: new Uint8Array(10) }
}

function table(options: Partial<InboundTableOptions> = {}) {
  const inbound = new InboundTable<InboundMessage>(options)
  return {
    inbound,
    open(now: number, source: string, epoch = first): InboundDelivery<InboundMessage> {
      const delivery = inbound.open(now, source, epoch)
      if (delivery === 'busy') throw new Error('busy')
      return delivery
    },
  }
}

describe('InboundTable', () => {
  test('gives every connection of one life of a node the same delivery', () => {
    const { inbound, open } = table()
    const one = open(0, 'alice')
    expect(open(0, 'alice')).toBe(one)
    expect(open(0, 'alice', second)).not.toBe(one)
    expect(open(0, 'bob')).not.toBe(one)
    expect(inbound.size).toBe(3)
  })

  test('remembers what was delivered after the last connection has closed', () => {
    const { inbound, open } = table()
    const one = open(0, 'alice')
    one.handle(0, message(0))
    inbound.close(10, one)
    inbound.close(10, one)
    const again = open(500_000, 'alice')
    expect(again.handle(500_000, message(0))).toBe('duplicate')
  })

  test('when full, forgets only who has been silent for longer than it has to keep', () => {
    const { inbound, open } = table({ maxSources: 2, keepMs: 1000 })
    const alice = open(0, 'alice')
    open(0, 'bob')
    expect(inbound.open(5000, 'carol', first)).toBe('busy')
    inbound.close(5000, alice)
    expect(inbound.open(6000, 'carol', first)).toBe('busy')
    expect(inbound.open(6001, 'carol', first)).not.toBe('busy')
    expect(inbound.size).toBe(2)
    expect(open(6001, 'bob').handle(6001, message(0))).toBe('deliver')
  })

  test('when full, the longest silent one goes', () => {
    const { inbound, open } = table({ maxSources: 2, keepMs: 1000 })
    const alice = open(0, 'alice')
    const bob = open(0, 'bob')
    alice.handle(0, message(0))
    inbound.close(10, bob)
    inbound.close(20, alice)
    open(5000, 'carol')
    expect(open(5000, 'alice')).toBe(alice)
  })

  test('one used again in between is not silent', () => {
    const { inbound, open } = table({ maxSources: 1, keepMs: 1000 })
    const alice = open(0, 'alice')
    inbound.close(0, alice)
    open(900, 'alice')
    expect(inbound.open(9000, 'bob', first)).toBe('busy')
  })

  test('keeps four lives of a node; a fifth takes the place of the longest idle one, never of one in use', () => {
    const { inbound, open } = table()
    const lives = epochs.slice(0, 4).map((epoch) => open(0, 'alice', epoch))
    expect(inbound.open(0, 'alice', fifth)).toBe('busy')
    inbound.close(1, lives[2] as InboundDelivery<InboundMessage>)
    inbound.close(2, lives[1] as InboundDelivery<InboundMessage>)
    open(3, 'alice', fifth)
    expect(inbound.size).toBe(4)
    expect(open(3, 'alice', second)).toBe(lives[1])
    expect(inbound.open(3, 'alice', third)).toBe('busy')
    expect(open(3, 'alice', fourth)).toBe(lives[3])
  })

  test('has one timeout for all, and names those that have something ready then', () => {
    const { inbound, open } = table()
    const alice = open(0, 'alice')
    const bob = open(0, 'bob')
    expect(inbound.nextTimeout()).toBeUndefined()
    alice.handle(100, message(1))
    bob.handle(50, message(1))
    expect(inbound.nextTimeout()).toBe(2050)
    expect(inbound.handleTimeout(2050)).toEqual([bob])
    expect(bob.pollReady()?.counter).toBe(1)
    expect(inbound.nextTimeout()).toBe(2100)
    alice.handle(2060, message(0))
    expect(inbound.nextTimeout()).toBeUndefined()
    expect(inbound.handleTimeout(9999)).toEqual([])
  })

  test('bounds what all sources together have held, and gets it back from those it forgets', () => {
    const { inbound, open } = table({ maxHeldBytesInAll: 20, maxSources: 3, keepMs: 1 })
    const [alice, bob, carol] = [open(0, 'alice'), open(0, 'bob'), open(0, 'carol')]
    expect(alice.handle(0, message(1))).toBe('held')
    expect(bob.handle(0, message(1))).toBe('held')
    expect(carol.handle(0, message(1))).toBe('full')
    inbound.close(0, bob)
    open(10, 'dave')
    expect(inbound.heldBytes).toBe(10)
    expect(carol.handle(10, message(1))).toBe('held')
  })

  test('refuses options that cannot be', () => {
    for (const options of [{ maxSources: 0 }, { keepMs: -1 }, { maxEpochsPerNode: 0 }, { maxHeldBytesInAll: NaN }]) {
      expect(() => new InboundTable(options)).toThrow(ArgumentError)
    }
  })
})
