import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { ArgumentError } from '@aiv/transport-api'
import {
  DuplicateWindow,
  envelopeAge,
  relayDuplicateOptions,
  rememberEnvelopeUntil,
  sessionlessDuplicateOptions,
} from '../src/index.js'

describe('DuplicateWindow', () => {
  test('knows a key until its time is over', () => {
    const window = new DuplicateWindow(relayDuplicateOptions)
    expect(window.record(0, 'a', 'link', 100)).toBe('new')
    expect(window.record(99, 'a', 'other link', 500)).toBe('duplicate')
    expect(window.has(99, 'a')).toBe(true)
    expect(window.has(100, 'a')).toBe(false)
    expect(window.record(100, 'a', 'link', 200)).toBe('new')
  })

  test('when an owner has used its quota it is refused, and others are not', () => {
    const window = new DuplicateWindow({ maxEntries: 10, maxEntriesPerOwner: 2 })
    expect(window.record(0, 'a', 'one', 50)).toBe('new')
    expect(window.record(0, 'b', 'one', 100)).toBe('new')
    expect(window.record(0, 'c', 'one', 100)).toBe('full')
    expect(window.record(0, 'a', 'one', 100)).toBe('duplicate')
    expect(window.record(0, 'd', 'two', 100)).toBe('new')
    expect(window.record(50, 'c', 'one', 100)).toBe('new')
    expect(window.has(50, 'b')).toBe(true)
  })

  test('when it is full everything new is refused and nothing is forgotten', () => {
    const window = new DuplicateWindow(sessionlessDuplicateOptions)
    for (let i = 0; i < 65_536; i++) window.record(0, `key ${i}`, `source ${i % 16}`, 1000 + i)
    expect(window.size).toBe(65_536)
    expect(window.record(0, 'one more', 'another source', 1000)).toBe('full')
    for (let i = 0; i < 65_536; i += 1000) expect(window.has(0, `key ${i}`)).toBe(true)
    expect(window.record(1000, 'one more', 'another source', 2000)).toBe('new')
    expect(window.size).toBe(65_536)
  })

  test('what is over already needs no memory', () => {
    const window = new DuplicateWindow(relayDuplicateOptions)
    expect(window.record(10, 'a', 'link', 10)).toBe('new')
    expect(window.size).toBe(0)
  })

  test('does what a list would do that is searched from end to end', () => {
    const step = fc.record({
      waitMs: fc.nat({ max: 5 }),
      key: fc.constantFrom(...'abcdefgh'),
      owner: fc.constantFrom('x', 'y', 'z'),
      lifeMs: fc.integer({ min: 1, max: 30 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
        const window = new DuplicateWindow({ maxEntries: 5, maxEntriesPerOwner: 3 })
        let list: { key: string; owner: string; until: number }[] = []
        let now = 0
        for (const { waitMs, key, owner, lifeMs } of steps) {
          now += waitMs
          list = list.filter(({ until }) => until > now)
          const expected = list.some((entry) => entry.key === key)
            ? 'duplicate'
            : list.length >= 5 || list.filter((entry) => entry.owner === owner).length >= 3
              ? 'full'
              : 'new'
          if (expected === 'new') list.push({ key, owner, until: now + lifeMs })
          expect(window.record(now, key, owner, now + lifeMs)).toBe(expected)
          expect(window.size).toBe(list.length)
        }
      }),
    )
  })

  test('refuses options and times that cannot be', () => {
    expect(() => new DuplicateWindow({ maxEntries: 0, maxEntriesPerOwner: 1 })).toThrow(ArgumentError)
    expect(() => new DuplicateWindow({ maxEntries: 1, maxEntriesPerOwner: 0.5 })).toThrow(ArgumentError)
    expect(() => new DuplicateWindow(relayDuplicateOptions).record(0, 'a', 'b', NaN)).toThrow(ArgumentError)
  })
})

describe('the age of an envelope', () => {
  const envelope = { timestamp: 1_000_000, lifetimeS: 300 }

  test('is acceptable from two minutes before its time to two minutes after its life, both included', () => {
    expect(envelopeAge(1_000_000 - 120_001, envelope)).toBe('early')
    expect(envelopeAge(1_000_000 - 120_000, envelope)).toBe('acceptable')
    expect(envelopeAge(1_000_000 + 420_000, envelope)).toBe('acceptable')
    expect(envelopeAge(1_000_000 + 420_001, envelope)).toBe('expired')
  })

  test('its id is remembered for longer than any right clock accepts it', () => {
    const until = rememberEnvelopeUntil(envelope)
    expect(until).toBe(1_000_000 + 540_000)
    expect(envelopeAge(until, envelope)).toBe('expired')
  })
})
