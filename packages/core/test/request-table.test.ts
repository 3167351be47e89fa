import { describe, expect, test } from '@jest/globals'
import type { NodeId } from '@aiv/transport-api'
import { RequestTable } from '../src/request-table.js'
import { SleepDetector } from '../src/sleep-detector.js'
import { ManualClock } from './manual-clock.js'

const peer = '0'.repeat(32) as NodeId
const other = '1'.repeat(32) as NodeId

describe('request table', () => {
  test('an answer counts only from the peer that was asked, and once', async () => {
    const table = new RequestTable(new ManualClock())
    const { id, answer } = table.open(peer, 1_000, undefined)
    table.settle(other, id, true, Uint8Array.of(1))
    table.settle(peer, id, true, Uint8Array.of(2))
    table.settle(peer, id, true, Uint8Array.of(3))
    expect(await answer).toEqual(Uint8Array.of(2))
    expect(table.size).toBe(0)
  })

  test('a request ends with its time, its signal, or a failure of the other side', async () => {
    const clock = new ManualClock()
    const table = new RequestTable(clock)
    const late = table.open(peer, 1_000, undefined)
    const controller = new AbortController()
    const aborted = table.open(peer, 1_000, controller.signal)
    const refused = table.open(peer, 1_000, undefined)
    const strange = table.open(peer, 1_000, undefined)
    controller.abort(new Error('enough'))
    table.settle(peer, refused.id, false, new TextEncoder().encode('PROTOCOL_UNKNOWN'))
    table.settle(peer, strange.id, false, new TextEncoder().encode('anything at all'))
    const lateResult = expect(late.answer).rejects.toMatchObject({ code: 'REQUEST_TIMEOUT' })
    await expect(aborted.answer).rejects.toThrow('enough')
    await expect(refused.answer).rejects.toMatchObject({ code: 'PROTOCOL_UNKNOWN' })
    await expect(strange.answer).rejects.toMatchObject({ code: 'REQUEST_FAILED' })
    await clock.advance(1_000)
    await lateResult
    expect(table.size).toBe(0)
    expect(clock.running).toBe(0)
  })
})

describe('sleep detector', () => {
  test('counts jumps of Unix time over two seconds, and not drift', () => {
    const clock = new ManualClock()
    const detector = new SleepDetector(clock.now(), clock.unixNow())
    clock.sleep(1_900)
    expect(detector.observe(clock.now(), clock.unixNow())).toBe(0)
    clock.sleep(2_100)
    expect(detector.observe(clock.now(), clock.unixNow())).toBe(1)
    expect(detector.observe(clock.now(), clock.unixNow())).toBe(1)
  })
})
