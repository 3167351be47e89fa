// The same as index.ts without what only Node has: nodeCrypto and key files.
export { createIdentity } from './create-identity.browser.js'
export * from './index.portable.js'
