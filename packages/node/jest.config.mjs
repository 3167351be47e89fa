import preset from '../../jest.preset.mjs'

// real processes, sockets and key derivations: the limit is for what hangs, not for what is slow
export default { ...preset, displayName: 'node', testTimeout: 120_000 }
