export { crc32 } from './crc32.node.js'
export { loadNativeLz4 } from './lz4.node.js'
export { unfilledBytes } from './unfilled-bytes.node.js'
export * from './portable.js'
