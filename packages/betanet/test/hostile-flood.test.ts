import { once } from 'node:events'
import { type Socket, connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { Keeper, TestHost } from '@aiv/testkit'
import { parseAddress } from '@aiv/transport-api'
import { betanet } from '../src/index.js'
import { testNode } from './bench.js'

/** Raw sockets that say one byte after another of what might become a handshake. */
class Flood {
  readonly sockets: Socket[] = []
  #closed = 0

  /** @param from - local addresses, which all of 127/8 is. */
  async begin(port: number, from: readonly string[]): Promise<void> {
    await Promise.all(
      from.map(async (localAddress) => {
        const socket = connect({ port, host: '127.0.0.1', localAddress })
        socket.on('error', () => undefined)
        socket.on('close', () => void this.#closed++)
        this.sockets.push(socket)
        await Promise.race([once(socket, 'connect'), once(socket, 'close')])
      }),
    )
  }

  drip(at: number): void {
    const byte = [0x48, 0x58, 0x11, 0x00, 0x00, 0x07][at % 6] as number
    for (const socket of this.sockets) if (socket.writable) socket.write(Uint8Array.of(byte))
  }

  get held(): number {
    return this.sockets.length - this.#closed
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy()
  }
}

const floods: readonly (readonly [name: string, addresses: readonly string[], most: number])[] = [
  ['one address', Array.from({ length: 300 }, () => '127.9.9.9'), 16],
  ['one network', Array.from({ length: 300 }, (_, i) => `127.9.8.${1 + (i % 250)}`), 64],
  ['many networks', Array.from({ length: 900 }, (_, i) => `127.${10 + (i % 90)}.${Math.floor(i / 90)}.1`), 768],
]

// only Linux answers on all of 127/8
const onLinux = process.platform === 'linux' ? describe : describe.skip

onLinux('unfinished handshakes by the hundred', () => {
  test.each(floods)('from %s do not keep an honest node out, and only so many are held', async (_, addresses, most) => {
    const here = await testNode()
    const transport = betanet({ listen: { host: '127.0.0.1', port: 0 } })(here.components)
    const host = new TestHost()
    await transport.start(host)
    const [address = ''] = host.addresses
    const there = await testNode()
    const honest = betanet({ listen: false, dialTimeoutMs: 5_000 })(there.components)
    await honest.start(new TestHost())
    const flood = new Flood()
    const begun = flood.begin(parseAddress(address).port as number, addresses)
    for (let at = 0; at < 6; at++) {
      flood.drip(at)
      const accepted = host.next()
      const connection = new Keeper(await honest.dial(address, { expected: here.components.identity.nodeId }))
      await accepted
      await connection.connection.close()
    }
    await begun
    flood.drip(0)
    // those that were turned away are told by the platform, in its own time
    while (flood.held > most) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(flood.held).toBeLessThanOrEqual(most)
    flood.end()
    await Promise.all([honest.close(), transport.close()])
  })
})
