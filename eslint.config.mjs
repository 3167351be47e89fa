import nx from '@nx/eslint-plugin'
import tseslint from 'typescript-eslint'

/** Who may import whom: docs/architecture.md. */
const layers = [
  ['api', []],
  ['testkit', ['api']],
  ['security', ['api']],
  ['routing', ['api']],
  ['policy', ['api']],
  ['fragments', ['api']],
  ['radio', ['api']],
  ['codec', ['api']],
  ['session', ['api', 'codec']],
  ['transport', ['api', 'session']],
  ['mesh', ['api', 'fragments']],
  ['core', ['api', 'security', 'routing', 'policy']],
  ['node', ['api', 'security', 'routing', 'policy', 'codec', 'session', 'transport', 'fragments', 'mesh', 'core']],
]

/** Tests also use the testkit and, for real handshakes, `security`; whole nodes are tested over real transports. */
const testLayers = [
  'api',
  'fragments',
  'radio',
  'mesh',
  'testkit',
  'security',
  'codec',
  'session',
  'transport',
  'routing',
  'policy',
  'core',
  'node',
]

const boundaries = (constraints) => [
  'error',
  { enforceBuildableLibDependency: true, allowCircularSelfDependency: true, allow: [], depConstraints: constraints },
]

const platformDoors = [
  { name: 'Buffer', message: 'Uint8Array in code that runs anywhere.' },
  { name: 'setTimeout', message: 'Time is handed in (Clock).' },
  { name: 'setInterval', message: 'Time is handed in (Clock).' },
  { name: 'setImmediate', message: 'Time is handed in (Clock).' },
  { name: 'performance', message: 'Time is handed in (Clock).' },
  { name: 'process', message: 'Only Node has it.' },
]

export default tseslint.config(
  { ignores: ['**/dist', '**/out-tsc', '**/coverage', '**/*.mjs', '**/node_modules'] },
  ...tseslint.configs.recommendedTypeChecked,
  {
    files: ['**/*.ts'],
    languageOptions: { parserOptions: { projectService: true } },
    plugins: { '@nx': nx },
    rules: {
      '@nx/enforce-module-boundaries': boundaries(
        layers.map(([layer, allowed]) => ({
          sourceTag: `layer:${layer}`,
          onlyDependOnLibsWithTags: [layer, ...allowed].map((name) => `layer:${name}`),
        })),
      ),
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['**/test/**/*.ts', '**/test-system/**/*.ts'],
    rules: {
      '@nx/enforce-module-boundaries': boundaries([
        { sourceTag: '*', onlyDependOnLibsWithTags: testLayers.map((name) => `layer:${name}`) },
      ]),
      // records of fakes are taken apart by destructuring, and an async fake need not wait for anything
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/require-await': 'off',
    },
  },
  {
    // Cores, codecs and everything that runs anywhere: no platform, no clock, no chance
    files: ['**/packages/*/src/**/*.ts', '**/src/**/*.ts'],
    ignores: [
      '**/packages/node/**',
      '**/packages/betanet/**',
      '**/*.node.ts',
      '**/system-clock.ts',
      '**/system-random.ts',
      '**/test-clock.ts',
    ],
    rules: {
      'no-restricted-globals': ['error', ...platformDoors],
      'no-restricted-imports': [
        'error',
        { patterns: [{ group: ['node:*'], message: 'Only in *.node.ts and shells.' }] },
      ],
      'no-restricted-properties': [
        'error',
        { object: 'Date', property: 'now', message: 'Time is handed in (Clock).' },
        { object: 'Math', property: 'random', message: 'Chance is handed in (Random).' },
      ],
    },
  },
)
