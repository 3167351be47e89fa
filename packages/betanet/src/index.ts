export { betanet } from './betanet.js'
export { type BetanetOptions, DEFAULT_PORT } from './options.js'
