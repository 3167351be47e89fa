export { crc32 } from './crc32.node.js'
export { loadNativeCrc32 } from './crc32-native.node.js'
export { loadNativeLz4 } from './lz4.node.js'
export * from './portable.js'
