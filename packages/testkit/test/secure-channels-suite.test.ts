import { describe, expect, jest, test } from '@jest/globals'
import { secureChannelsCompliance } from '../src/index.js'
import { failuresOf } from './collecting-runner.js'
import { type PlainFaults, plainParty } from './plain-channels.js'

describe('channels that keep the rules', () => {
  secureChannelsCompliance({ describe, test }, { create: (name) => plainParty(name) })
})

// each of these plays the whole suite
jest.setTimeout(120_000)

describe('the suite finds channels that', () => {
  const find = async (faults: PlainFaults): Promise<string[]> => {
    const create = (name: string) => plainParty(name, faults)
    const suites = ['chacha20-poly1305'] as const
    return [...(await failuresOf((runner) => secureChannelsCompliance(runner, { create, suites }))).keys()]
  }

  test('take whoever answers', async () => {
    expect(await find({ trustsAnybody: true })).toEqual([
      'another node than the expected one ends in IDENTITY_MISMATCH, before message 3',
    ])
  })

  test('talk to themselves', async () => {
    expect(await find({ meetsItself: true })).toEqual(['a node that reaches itself ends in IDENTITY_OWN'])
  })

  test('have one key for both directions', async () => {
    expect(await find({ oneKey: true })).toEqual(['the two directions have keys of their own'])
  })

  test('give every protocol the same keys', async () => {
    expect(await find({ noLabel: true })).toEqual(['another label gives other keys'])
  })
})
