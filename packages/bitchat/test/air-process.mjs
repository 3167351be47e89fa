// An air in a process of its own: `node air-process.mjs <socket>`. Whoever comes first hears everybody and is heard; the
// others do not hear each other.
import { VirtualAir, VirtualAirServer } from '@aiv/ble-virtual'

const first = 'c0:ff:ee:00:00:01'
const air = new VirtualAir({
  clock: {
    now: () => performance.now(),
    unixNow: () => Date.now(),
    setTimeout: (run, ms) => {
      const timer = setTimeout(run, Math.max(0, ms))
      return { clear: () => clearTimeout(timer) }
    },
  },
  random: {
    bytes: (length) => crypto.getRandomValues(new Uint8Array(length)),
    uniform: () => Math.random(),
  },
  aclCount: 32,
  signal: (from, to) => (from === first || to === first ? -60 : undefined),
})
await VirtualAirServer.listen(air, { path: process.argv[2], onFault: (fault) => console.error(fault) })
process.send('ready')
