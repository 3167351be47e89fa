/**
 * The two functions of a test runner that the suites use. `{ describe, test }` of jest, of node:test, of vitest and of
 * mocha (as `it`) all fit.
 */
export interface ComplianceRunner {
  describe(name: string, body: () => void): unknown
  test(name: string, body: () => Promise<void>): unknown
}
