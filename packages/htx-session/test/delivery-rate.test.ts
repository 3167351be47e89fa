import { describe, expect, test } from '@jest/globals'
import { DeliveryRate, MIN_FRAME_BYTES } from '../src/delivery-rate.js'

/** A link of so many bytes per ms and so much delay each way, always kept as full as the limit allows. */
function saturate(rate: DeliveryRate, bytesPerMs: number, rttMs: number, ms: number, from = 0): number {
  const acks: { at: number; bytes: number }[] = []
  let free = from
  let largest = 0
  for (let now = from; now < from + ms; now += 0.5) {
    while (acks.length > 0 && (acks[0] as { at: number }).at <= now)
      rate.onAck(now, (acks.shift() as { bytes: number }).bytes)
    while (rate.maxInFlightBytes() - rate.inFlightBytes > 0) {
      const size = rate.frameBytes(65_536)
      rate.onSent(now, size)
      free = Math.max(free, now) + size / bytesPerMs
      acks.push({ at: free + rttMs, bytes: rate.sentBytes })
    }
    if (now > from + ms / 2) largest = Math.max(largest, rate.inFlightBytes)
  }
  return largest
}

describe('the delivery rate', () => {
  test('is that of the link, and about twice what the link holds is in flight', () => {
    const rate = new DeliveryRate()
    rate.onRoundTrip(0, 40)
    const inFlight = saturate(rate, 1_250, 40, 8_000) // 10 Mbit/s
    expect(rate.bytesPerSecond).toBeGreaterThan(1_100_000)
    expect(rate.bytesPerSecond).toBeLessThan(1_400_000)
    expect(inFlight).toBeLessThan(3 * 1_250 * 41)
    expect(inFlight).toBeGreaterThan(1_250 * 40)
  })

  test('is not known from a lone small message: what follows it may fill the first window', () => {
    const rate = new DeliveryRate()
    rate.onSent(0, 64)
    rate.onIdle()
    rate.onAck(25, 64)
    expect(rate.bytesPerSecond).toBeUndefined()
    expect(rate.maxInFlightBytes()).toBe(256 * 1024)
  })

  test('on a path of microseconds some two milliseconds of it are in flight, since an emergency waits for them', () => {
    const rate = new DeliveryRate()
    rate.onRoundTrip(0, 0.2)
    // 400 MB/s, known exactly: 400,000 bytes acknowledged after one millisecond
    rate.onSent(0, 400_000)
    rate.onAck(1, 400_000)
    expect(rate.bytesPerSecond).toBe(400_000_000)
    expect(rate.maxInFlightBytes()).toBeGreaterThan(1.5 * 400_000)
    expect(rate.maxInFlightBytes()).toBeLessThan(2.5 * 400_000)
  })

  test('does not creep up over minutes: the smallest round trip is measured anew on an emptied link', () => {
    const rate = new DeliveryRate()
    rate.onRoundTrip(0, 40)
    expect(saturate(rate, 1_250, 40, 90_000)).toBeLessThan(4 * 1_250 * 41)
  })

  test('follows a path that became longer', () => {
    const rate = new DeliveryRate()
    rate.onRoundTrip(0, 10)
    saturate(rate, 1_250, 10, 5_000)
    saturate(rate, 1_250, 100, 60_000, 5_000)
    expect(rate.bytesPerSecond).toBeGreaterThan(900_000)
  })

  test('makes frames that take about 10 ms, never below 1,200 bytes, and up to the limit', () => {
    const slow = new DeliveryRate()
    saturate(slow, 10, 40, 60_000)
    expect(slow.frameBytes(65_536)).toBe(MIN_FRAME_BYTES)
    const middle = new DeliveryRate()
    saturate(middle, 1_250, 40, 5_000)
    expect(middle.frameBytes(65_536)).toBeGreaterThan(10_000)
    expect(middle.frameBytes(65_536)).toBeLessThan(15_000)
    const fast = new DeliveryRate()
    saturate(fast, 100_000, 0.5, 1_000)
    expect(fast.frameBytes(65_536)).toBe(65_536)
    // larger ones take 1 ms
    expect(fast.frameBytes(1_000_000)).toBeGreaterThan(90_000)
    expect(fast.frameBytes(1_000_000)).toBeLessThan(120_000)
    const gigabit = new DeliveryRate()
    saturate(gigabit, 50_000, 0.5, 1_000)
    expect(gigabit.frameBytes(1_000_000)).toBe(65_536)
  })

  test('a sender that has little to say does not make the path look slow', () => {
    const rate = new DeliveryRate()
    saturate(rate, 10_000, 1, 1_000)
    let total = rate.sentBytes
    rate.onAck(1_001, total)
    const before = rate.bytesPerSecond as number
    for (let now = 1_010; now < 5_000; now += 10) {
      rate.onSent(now, 100)
      rate.onIdle()
      total += 100
      rate.onAck(now + 5, total)
    }
    expect(rate.bytesPerSecond).toBe(before)
  })

  test('an ACK for what was not sent is refused, an old one ignored', () => {
    const rate = new DeliveryRate()
    rate.onSent(0, 100)
    expect(rate.onAck(1, 101)).toBe(false)
    expect(rate.onAck(1, 100)).toBe(true)
    expect(rate.onAck(2, 50)).toBe(true)
    expect(rate.inFlightBytes).toBe(0)
  })
})
