import { expect, test } from '@jest/globals'
import * as node from '../src/index.js'
import * as browser from '../src/index.browser.js'

test('Node and browser are given the same names', () => {
  expect(Object.keys(browser).sort()).toEqual(Object.keys(node).sort())
})
