/* The same names as index.ts, without anything of Node. */
export { crc32 } from './crc32.browser.js'
export { loadNativeCrc32 } from './crc32-native.browser.js'
export { loadNativeLz4 } from './lz4.browser.js'
export * from './portable.js'
