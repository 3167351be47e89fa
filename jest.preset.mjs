import { fileURLToPath } from 'node:url'

const packages = fileURLToPath(new URL('./packages/', import.meta.url))

/** Shared jest settings: native ESM, TypeScript through swc, workspace packages read from their sources. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>'],
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { target: 'es2022', parser: { syntax: 'typescript' }, keepClassNames: true },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^@aiv/([a-z0-9-]+)$': `${packages}$1/src/index.ts`,
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
  resetMocks: true,
  maxWorkers: 1,
  coverageProvider: 'v8',
  collectCoverageFrom: ['<rootDir>/src/**/*.ts'],
  coverageDirectory: '<rootDir>/coverage',
  coverageReporters: ['text-summary', 'lcov', 'json-summary'],
}
