// A node that carries other people's packets, in a process of its own: `node relay-process.mjs <socket>`.
import { bitchat, NobleBlenoRadio } from '@aiv/bitchat'
import { installVirtualDriver, SocketController, VIRTUAL_DRIVER } from '@aiv/ble-virtual'
import { generateIdentity, nodeCrypto, secureChannels } from '@aiv/security'
import { silentLogger } from '@aiv/transport-api'

const clock = {
  now: () => performance.now(),
  unixNow: () => Date.now(),
  setTimeout: (run, ms) => {
    const timer = setTimeout(run, Math.max(0, ms))
    return { clear: () => clearTimeout(timer) }
  },
}
const random = { bytes: (length) => crypto.getRandomValues(new Uint8Array(length)), uniform: () => Math.random() }
const identity = generateIdentity(nodeCrypto)

installVirtualDriver(import.meta.url)
const virtual = await SocketController.open(process.argv[2])
const stack = { driver: VIRTUAL_DRIVER, driverParams: { virtual } }
const radio = new NobleBlenoRadio(
  { clock, log: silentLogger },
  {
    central: stack,
    peripheral: stack,
    supervisionTimeoutMs: 300,
    initiateTimeoutMs: 500,
    windowPackets: 32,
    maxLinks: 8,
  },
)
const level = {
  name: 'test',
  scanWindowMs: 1_000,
  scanIntervalMs: 1_000,
  advertiseIntervalMs: 20,
  announceIntervalMs: 5_000,
}
const transport = bitchat({
  radio,
  crypto: nodeCrypto,
  staticKey: (unixNow) => ({
    publicKey: identity.noiseStatic.publicKey,
    notAfter: Math.floor(unixNow / 1000) + 86_400,
  }),
  mesh: { linkPacketsPerSecond: 5_000, linkBurst: 1_000 },
  dutyCycle: { levels: [level], batteryLevels: [] },
  maxLinks: 8,
})({ identity, secure: secureChannels({ identity, clock }), clock, random, log: silentLogger, metrics: undefined })
await transport.start({
  admit: () => true,
  onConnection: () => undefined,
  onListening: () => undefined,
  onDown: (error) => console.error(error),
})
process.send('ready')
