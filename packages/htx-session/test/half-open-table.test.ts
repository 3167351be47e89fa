import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sourcePrefixes } from '@aiv/transport-api'
import { defaultHalfOpenLimits, HalfOpenTable, verifyHalfOpenLimits } from '../src/half-open-table.js'

const unhurried = verifyHalfOpenLimits({ handshakesPerSecond: Infinity })
const address = (index: number): string => `10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`

describe('the table of unfinished handshakes', () => {
  test('the seventeenth of one address evicts the first of it, and is taken itself', () => {
    const table = new HalfOpenTable<number>(unhurried)
    for (let i = 0; i < 16; i++) {
      expect(table.admit(0, '192.0.2.1', false, i)).toEqual({ verdict: 'admit', evicted: undefined })
    }
    expect(table.admit(0, '192.0.2.2', false, 100)).toEqual({ verdict: 'admit', evicted: undefined })
    expect(table.admit(0, '192.0.2.1', false, 16)).toEqual({ verdict: 'admit', evicted: 0 })
    expect(table.admit(0, '192.0.2.1', false, 17)).toEqual({ verdict: 'admit', evicted: 1 })
    expect(table.size).toBe(17)
  })

  test('addresses of one /64 share its places', () => {
    const table = new HalfOpenTable<number>(unhurried)
    for (let i = 0; i < 16; i++) table.admit(0, `2001:db8:1:2::${i.toString(16)}`, false, i)
    expect(table.admit(0, '2001:db8:1:2:ffff:ffff:ffff:ffff', false, 16)).toEqual({ verdict: 'admit', evicted: 0 })
  })

  test.each([
    ['/48', (i: number) => `2001:db8:1:${i.toString(16)}::1`, '2001:db8:2::1'],
    ['IPv4 /24', (i: number) => `192.0.2.${i}`, '192.0.3.1'],
  ])('the sixty-fifth of one %s evicts the oldest of its fullest part and leaves others alone', (_, of, elsewhere) => {
    const table = new HalfOpenTable<string>(unhurried)
    table.admit(0, elsewhere, false, 'elsewhere')
    for (let i = 0; i < 60; i++) table.admit(0, of(i), false, `single ${i}`)
    for (let i = 0; i < 4; i++) table.admit(0, of(99), false, `crowd ${i}`)
    expect(table.admit(0, of(100), false, 'new')).toEqual({ verdict: 'admit', evicted: 'crowd 0' })
    expect(table.size).toBe(65)
  })

  test('strangers get three quarters of all places, and beyond them the fullest network pays', () => {
    const table = new HalfOpenTable<number>(unhurried)
    for (let i = 0; i < 768 - 2; i++) table.admit(0, address(i * 256), false, i)
    table.admit(0, address(300), false, 5000)
    table.admit(0, address(301), false, 5001)
    expect(table.size).toBe(768)
    // 10.0.1.x holds the single of index 1 and two more; its parts are even, so the oldest of it goes
    expect(table.admit(0, '198.51.100.1', false, 6000)).toEqual({ verdict: 'admit', evicted: 1 })
    expect(table.size).toBe(768)
  })

  test('a known address uses the reserved quarter, and when all is full a stranger makes room for it', () => {
    const table = new HalfOpenTable<number>(unhurried)
    for (let i = 0; i < 768; i++) table.admit(0, address(i * 256), false, i)
    for (let i = 768; i < 1024; i++) {
      expect(table.admit(0, address(i * 256), true, i)).toEqual({ verdict: 'admit', evicted: undefined })
    }
    expect(table.size).toBe(1024)
    expect(table.admit(0, address(2000 * 256), true, 2000)).toEqual({ verdict: 'admit', evicted: 0 })
    expect(table.admit(0, address(2001 * 256), false, 2001)).toEqual({ verdict: 'admit', evicted: 1 })
    expect(table.size).toBe(1024)
  })

  test('known addresses alone fill the table, and then the oldest of the fullest goes', () => {
    const table = new HalfOpenTable<number>(verifyHalfOpenLimits({ ...unhurried, total: 4, reservedForKnown: 1 }))
    table.admit(0, address(0), true, 0)
    table.admit(0, address(256), true, 1)
    table.admit(0, address(256), true, 2)
    table.admit(0, address(512), true, 3)
    expect(table.admit(0, address(768), false, 4)).toEqual({ verdict: 'admit', evicted: 1 })
  })

  test('forty handshakes at once, then twenty a second, and the rest is refused', () => {
    const table = new HalfOpenTable<number>()
    let refused = 0
    for (let i = 0; i < 50; i++) if (table.admit(0, '192.0.2.1', false, i).verdict === 'refuse') refused++
    expect(refused).toBe(10)
    expect(table.admit(49, '192.0.2.1', false, 100).verdict).toBe('refuse')
    expect(table.admit(50, '192.0.2.1', false, 101).verdict).toBe('admit')
    expect(table.admit(50, '192.0.2.1', false, 102).verdict).toBe('refuse')
    expect(table.admit(50, '192.0.2.2', false, 103).verdict).toBe('admit')
    let later = 0
    for (let i = 200; i < 300; i++) if (table.admit(60_000, '192.0.2.1', false, i).verdict === 'admit') later++
    expect(later).toBe(40)
  })

  test('remembers the rates of a bounded number of sources, and forgets the one unseen for longest', () => {
    const limits = verifyHalfOpenLimits({ handshakeBurst: 1, rememberedHosts: 2 })
    const table = new HalfOpenTable<number>(limits)
    table.admit(0, '192.0.2.1', false, 1)
    table.admit(0, '192.0.2.2', false, 2)
    expect(table.admit(0, '192.0.2.1', false, 3).verdict).toBe('refuse')
    table.admit(0, '192.0.2.3', false, 4)
    expect(table.rememberedHosts).toBe(2)
    expect(table.admit(0, '192.0.2.1', false, 5).verdict).toBe('refuse')
    expect(table.admit(0, '192.0.2.2', false, 6).verdict).toBe('admit')
  })

  test('a finished handshake gives its place back', () => {
    const table = new HalfOpenTable<number>(unhurried)
    for (let i = 0; i < 16; i++) table.admit(0, '192.0.2.1', false, i)
    table.remove(3)
    table.remove(3)
    expect(table.size).toBe(15)
    expect(table.admit(0, '192.0.2.1', false, 16)).toEqual({ verdict: 'admit', evicted: undefined })
  })

  /** Arrivals half a millisecond apart, and honest handshakes of 100 ms between them: those that were evicted. */
  const flooded = (source: (index: number) => string, most: number): string[] => {
    const table = new HalfOpenTable<string>()
    const lost: string[] = []
    table.admit(0, '198.51.100.1', true, 'known, and slow')
    for (let i = 0; i < 10_000; i++) {
      const verdicts = [table.admit(i / 2, source(i), false, `flood ${i}`)]
      // a stranger and somebody known, ten times a second each, and each from an address of its own
      if (i % 200 === 0) {
        verdicts.push(table.admit(i / 2, `203.0.${i / 200}.1`, false, `stranger ${i}`))
        verdicts.push(table.admit(i / 2, `198.51.${i / 200}.1`, true, `known ${i}`))
        table.remove(`stranger ${i - 200}`)
        table.remove(`known ${i - 200}`)
      }
      for (const verdict of verdicts) {
        if (verdict.verdict === 'admit' && verdict.evicted?.startsWith('flood') === false) lost.push(verdict.evicted)
      }
      expect(table.size).toBeLessThanOrEqual(most + 3)
    }
    return lost
  }

  test.each([
    ['one address', 16, () => '127.9.9.9'],
    ['one prefix', 64, (i: number) => `127.9.8.${i % 256}`],
    ['as many prefixes', 768, (i: number) => `10.${i >> 8}.${i & 255}.1`],
  ])('ten thousand from %s hold %i places, and evict nobody but themselves', (_, most, source) => {
    expect(flooded(source, most)).toEqual([])
  })

  test('those who hold many places pay for all that follows, and single ones stay', () => {
    const table = new HalfOpenTable<string>(unhurried)
    for (let i = 0; i < 64; i++) table.admit(0, `203.0.${i}.1`, false, `single ${i}`)
    for (let i = 0; i < 704; i++) table.admit(0, `10.0.${i % 11}.${i % 251}`, false, `crowd ${i}`)
    expect(table.size).toBe(768)
    for (let i = 0; i < 10_000; i++) {
      const verdict = table.admit(0, `10.1.${i % 13}.${i % 251}`, false, `later ${i}`)
      expect(verdict).toMatchObject({ verdict: 'admit', evicted: expect.stringMatching(/^(crowd|later)/) })
    }
    expect(table.size).toBe(768)
  })

  test('no sequence of arrivals and departures passes any limit', () => {
    const limits = verifyHalfOpenLimits({
      perHost: 2,
      perNetwork: 4,
      total: 9,
      reservedForKnown: 3,
      handshakesPerSecond: Infinity,
    })
    const step = fc.record({ a: fc.nat(3), b: fc.nat(5), known: fc.boolean(), leave: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const table = new HalfOpenTable<number>(limits)
        const held = new Map<number, { source: string; known: boolean }>()
        steps.forEach(({ a, b, known, leave }, index) => {
          if (leave) {
            const [oldest] = held.keys()
            if (oldest === undefined) return
            table.remove(oldest)
            held.delete(oldest)
            return
          }
          const source = `10.0.${a}.${b}`
          const verdict = table.admit(0, source, known, index)
          if (verdict.verdict === 'refuse') throw new Error('refused without a rate')
          if (verdict.evicted !== undefined) expect(held.delete(verdict.evicted)).toBe(true)
          held.set(index, { source, known })
          const count = (key: (source: string) => string): number => {
            const counts = new Map<string, number>()
            for (const { source: from } of held.values()) counts.set(key(from), (counts.get(key(from)) ?? 0) + 1)
            return Math.max(...counts.values())
          }
          expect(table.size).toBe(held.size)
          expect(held.size).toBeLessThanOrEqual(9)
          expect([...held.values()].filter((one) => !one.known).length).toBeLessThanOrEqual(6)
          expect(count((from) => from)).toBeLessThanOrEqual(2)
          expect(count((from) => sourcePrefixes(from).network)).toBeLessThanOrEqual(4)
        })
      }),
    )
  })

  test('limits that cannot hold are refused', () => {
    expect(() => verifyHalfOpenLimits({ perHost: 0 })).toThrow('perHost')
    expect(() => verifyHalfOpenLimits({ total: 1.5 })).toThrow('total')
    expect(() => verifyHalfOpenLimits({ reservedForKnown: 1024 })).toThrow('reservedForKnown')
    expect(() => verifyHalfOpenLimits({ handshakesPerSecond: 0 })).toThrow('handshakesPerSecond')
    expect(verifyHalfOpenLimits()).toEqual(defaultHalfOpenLimits)
  })
})
