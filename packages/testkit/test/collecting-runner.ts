import type { ComplianceRunner } from '../src/index.js'

/** Runs a suite to its end and gives the name and message of each test that failed. */
export async function failuresOf(suite: (runner: ComplianceRunner) => void): Promise<ReadonlyMap<string, string>> {
  const tests: { readonly name: string; readonly body: () => Promise<void> }[] = []
  suite({
    describe: (_, body) => body(),
    test: (name, body) => void tests.push({ name, body }),
  })
  const failures = new Map<string, string>()
  for (const { name, body } of tests) {
    try {
      await body()
    } catch (error) {
      failures.set(name, error instanceof Error ? error.message : String(error))
    }
  }
  return failures
}
