export { createIdentity } from './create-identity.node.js'
export {
  saveIdentity,
  loadIdentity,
  type SaveIdentityOptions,
  type LoadIdentityOptions,
  KeyFileError,
  type KeyFileErrorCode,
} from './key-store.node.js'
export { nodeCrypto, createNodeCrypto, type NodeCryptoOptions, type AeadFactory } from './crypto.node.js'
export { loadNativeSodium } from './sodium-native.node.js'
export * from './index.portable.js'
