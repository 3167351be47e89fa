import { describe, expect, test } from '@jest/globals'
import { budgetOf } from '../src/reassembly-budget.js'

describe('the budget of a node', () => {
  test('is one for all of its transports, and another node has its own', () => {
    const node = {}
    expect(budgetOf(node)).toBe(budgetOf(node))
    expect(budgetOf(node).tryReserve(256 * 1024 * 1024)).toBe(true)
    expect(budgetOf(node).tryReserve(1)).toBe(false)
    expect(budgetOf({}).tryReserve(1)).toBe(true)
  })
})
