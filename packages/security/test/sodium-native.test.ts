import { expect, test } from '@jest/globals'
import { loadNativeSodium } from '../src/index.js'

test('without the package sodium-native, or with another one of that name, there is no accelerator', async () => {
  expect(await loadNativeSodium()).toBeUndefined()
  expect(await loadNativeSodium(() => Promise.reject(new Error('not for this platform')))).toBeUndefined()
  expect(await loadNativeSodium(() => Promise.resolve({ default: {} }))).toBeUndefined()
})
