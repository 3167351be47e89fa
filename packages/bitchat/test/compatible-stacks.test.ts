import { afterEach, expect, test } from '@jest/globals'
import { SeededRandom } from '@aiv/testkit'
import { CompatibleMesh, type CompatibleEvent } from '../src/profiles/bitchat-compatible/compatible-mesh.js'
import { RadioMesh } from '../src/profiles/bitchat-compatible/radio-mesh.js'
import { rawDeflate } from '../src/profiles/bitchat-compatible/raw-deflate.node.js'
import { bitchatUuids } from '../src/profiles/bitchat-compatible/uuids.js'
import { compatibleCrypto, compatibleIdentity } from './compatible-net.js'
import { closeAirs, radioOn, realClock, until, virtualAir } from './virtual-radios.js'

const opened: RadioMesh[] = []
afterEach(async () => {
  await Promise.all(opened.splice(0).map((radio) => radio.close()))
  closeAirs()
})

test('over the real stacks, with the UUIDs of the deployed apps, two find each other and talk', async () => {
  const air = virtualAir()
  const start = async (name: string) => {
    const events: CompatibleEvent[] = []
    const components = {
      identity: compatibleIdentity(name),
      crypto: compatibleCrypto,
      random: new SeededRandom(name),
      compressor: rawDeflate,
    }
    const mesh = new CompatibleMesh(realClock.now(), components, { nickname: name })
    const radio = radioOn(air.create(), { ...bitchatUuids, unnamed: true })
    const shell = await RadioMesh.start({ radio, mesh, clock: realClock, onEvent: (event) => events.push(event) })
    opened.push(shell)
    return { mesh, shell, events }
  }
  const [a, b] = [await start('a'), await start('b')]
  await until(() => a.mesh.peers.length === 1 && b.mesh.peers.length === 1)
  const text = 'a text that is longer than one packet of any link '.repeat(40)
  a.shell.run((mesh, now) => mesh.sendPublic(now, text))
  b.shell.run((mesh, now) => mesh.sendPrivate(now, a.mesh.id, 'between us'))
  const types = (events: readonly CompatibleEvent[]) => events.map(({ type }) => type)
  await until(() => types(b.events).includes('public-message') && types(b.events).includes('delivered'))
  expect(b.events.find(({ type }) => type === 'public-message')).toMatchObject({ text, from: a.mesh.id })
  expect(a.events.find(({ type }) => type === 'private-message')).toMatchObject({ text: 'between us', from: b.mesh.id })
}, 30_000)
