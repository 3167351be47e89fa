import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe } from '@jest/globals'

const folder = process.env['AIV_VECTORS'] ?? fileURLToPath(new URL('../../../../shared/vectors', import.meta.url))

/** `describe` where the file of vectors is there, else reported as skipped. */
export function describeWith<T>(name: string, file: string, run: (vectors: T) => void): void {
  const path = `${folder}/${file}`
  if (existsSync(path)) describe(name, () => run(JSON.parse(readFileSync(path, 'utf8')) as T))
  else describe.skip(`${name} (no ${file}; AIV_VECTORS names the folder)`, () => run({} as T))
}
