import { fileURLToPath } from 'node:url'
import preset from '../../../jest.preset.mjs'

/** Tests that need packages which a plain install does not bring. */
export default {
  ...preset,
  displayName: 'htx-codec system',
  rootDir: fileURLToPath(new URL('..', import.meta.url)),
  testMatch: ['<rootDir>/test-system/**/*.test.ts'],
}
