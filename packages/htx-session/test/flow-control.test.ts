import { describe, expect, test } from '@jest/globals'
import { CHUNK_COST_BYTES, INITIAL_WINDOW_BYTES, ReceiveCredit, SendCredit } from '../src/flow-control.js'

describe('send credit', () => {
  test('begins with 256 KiB, of which 16 KiB are for emergencies', () => {
    const credit = new SendCredit()
    expect(credit.available(true)).toBe(INITIAL_WINDOW_BYTES - CHUNK_COST_BYTES)
    expect(credit.available(false)).toBe(INITIAL_WINDOW_BYTES - CHUNK_COST_BYTES - 16 * 1024)
  })

  test('every chunk costs its bytes and 16 more', () => {
    const credit = new SendCredit()
    credit.use(100)
    credit.use(60, 3)
    expect(credit.used).toBe(100 + 60 + 4 * CHUNK_COST_BYTES)
  })

  test('a grant is absolute; smaller ones are ignored, those a gigabyte ahead are cut', () => {
    const credit = new SendCredit()
    credit.use(1_000)
    credit.grant(2 ** 20)
    expect(credit.available(true)).toBe(2 ** 20 - 1_016 - 16)
    credit.grant(2 ** 19)
    expect(credit.available(true)).toBe(2 ** 20 - 1_016 - 16)
    credit.grant(2 ** 64)
    expect(credit.available(true)).toBe(2 ** 30 - 16)
  })
})

describe('receive credit', () => {
  test('is overrun by the first byte beyond the window', () => {
    const credit = new ReceiveCredit(0, 2 ** 24)
    expect(credit.receive(INITIAL_WINDOW_BYTES - 16)).toBe(true)
    expect(credit.receive(0)).toBe(false)
  })

  test('is granted anew when a quarter of the window is free again', () => {
    const credit = new ReceiveCredit(0, 2 ** 24)
    credit.receive(65_535 - 16)
    credit.release(65_535)
    expect(credit.due).toBe(false)
    credit.receive(1)
    credit.release(17)
    expect(credit.due).toBe(true)
    expect(credit.grant(1_000, 10)).toBe(INITIAL_WINDOW_BYTES + 65_552)
    expect(credit.due).toBe(false)
  })

  test('doubles the window while a quarter lasts for less than half a round trip, up to the ceiling', () => {
    const credit = new ReceiveCredit(0, 2 ** 20)
    let now = 0
    for (let i = 0; i < 10; i++) {
      now += 10
      credit.receive(credit.windowBytes / 4)
      credit.release(credit.windowBytes / 4 + 16)
      credit.grant(now, 100)
    }
    expect(credit.windowBytes).toBe(2 ** 20)
  })

  test('leaves the window as it is on a slow path', () => {
    const credit = new ReceiveCredit(0, 2 ** 24)
    for (let now = 100; now < 2_000; now += 100) {
      credit.receive(70_000)
      credit.release(70_016)
      credit.grant(now, 100)
    }
    expect(credit.windowBytes).toBe(INITIAL_WINDOW_BYTES)
  })
})
