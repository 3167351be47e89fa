// Where the optional package sodium-native is, if it is here: AIV_NATIVE_MODULES, or what tools/ci/install fetched.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const modules = process.env.AIV_NATIVE_MODULES ?? fileURLToPath(new URL('../ci/cache', import.meta.url))
const folder = join(modules, 'native-sodium')

export const haveSodium = () => existsSync(join(folder, 'node_modules/sodium-native'))

/** To be handed to `loadNativeSodium`. */
export const importSodium = async () => createRequire(join(folder, 'package.json'))('sodium-native')
