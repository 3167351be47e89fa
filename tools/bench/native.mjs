// Where the optional native packages are, if they are here: AIV_NATIVE_MODULES, or what tools/ci/install fetched.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const modules = process.env.AIV_NATIVE_MODULES ?? fileURLToPath(new URL('../ci/cache', import.meta.url))
const folder = (name) => join(modules, `native-${name}`)

/** @param name - `sodium` or `crc32`, as tools/ci/install calls their folders. */
export const haveNative = (name) => existsSync(join(folder(name), 'node_modules'))

/** To be handed to `loadNativeSodium` and `loadNativeCrc32`. */
export const importNative = (name, specifier) => async () =>
  createRequire(join(folder(name), 'package.json'))(specifier)
