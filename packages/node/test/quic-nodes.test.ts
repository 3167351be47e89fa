import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterEach, describe, expect, test } from '@jest/globals'
import { betanet } from '@aiv/betanet'
import { createNode, type AivNode, type NodeOptions } from '@aiv/core'
import { quic, quicheEngine, type QuicEngine } from '@aiv/quic'
import { createIdentity } from '@aiv/security'
import type { AivError, TransportFactory } from '@aiv/transport-api'

const open: { close(): unknown }[] = []

function closing<T extends { close(): unknown }>(one: T): T {
  open.push(one)
  return one
}

afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
})

async function node(transports: TransportFactory[], options: Partial<NodeOptions> = {}): Promise<AivNode> {
  return closing(await createNode({ identity: await createIdentity(), transports, ...options }))
}

async function socket(): Promise<Socket> {
  const bound = createSocket('udp4')
  bound.bind(0, '127.0.0.1')
  await once(bound, 'listening')
  return bound
}

function port(address: string | undefined): number {
  return Number(/:(\d+)$/.exec(address ?? '')?.[1])
}

/** Stands between a dialler and a listener, and can keep back all that the dialler says once it was answered. */
class Gate {
  /** The listener has spoken since {@link arm}, and the dialler is not heard any more. */
  shut = false
  #armed = false
  readonly #kept: (() => void)[] = []

  private constructor(
    readonly front: Socket,
    readonly back: Socket,
  ) {}

  static async before(listener: number): Promise<Gate> {
    const gate = new Gate(await socket(), await socket())
    let dialler = 0
    gate.front.on('message', (bytes, from) => {
      dialler = from.port
      const pass = (): void => gate.back.send(bytes, listener, '127.0.0.1')
      if (gate.shut) gate.#kept.push(pass)
      else pass()
    })
    gate.back.on('message', (bytes) => {
      gate.shut ||= gate.#armed
      gate.front.send(bytes, dialler, '127.0.0.1')
    })
    return closing(gate)
  }

  arm(): void {
    this.#armed = true
  }

  lift(): void {
    this.#armed = this.shut = false
    for (const pass of this.#kept.splice(0)) pass()
  }

  close(): void {
    this.front.close()
    this.back.close()
  }
}

const listen = { host: '127.0.0.1', port: 0 }

test('what waited for a peer reaches it in the first answer to its return: with 0-RTT nobody waits for the handshake', async () => {
  const a = await node([quic({ listen: false })], { pool: { maxDialled: 1 } })
  const b = await node([quic({ listen })])
  const other = await node([quic({ listen })])
  const gate = await Gate.before(port(b.addresses[0]))
  const address = `quic://${b.id}@127.0.0.1:${gate.front.address().port}`
  await (
    await a.send(address, 'the dialler now has a ticket')
  ).delivered

  const gone = new Promise((resolve) => b.addEventListener('peer-disconnected', resolve, { once: true }))
  await a.connect(other.addresses[0] as string)
  await gone
  const sent = b.send(a.id, 'while you were away')
  gate.arm()
  const { value: message } = await Promise.all([a.messages().next(), a.connect(b.id)]).then(([next]) => next)
  expect(message?.text()).toBe('while you were away')
  expect(gate.shut).toBe(true)
  gate.lift()
  await (
    await sent
  ).delivered
})

describe('a node that prefers QUIC and has HTX beside it', () => {
  const both = (engine?: QuicEngine): TransportFactory[] => [
    quic({ listen, ...(engine === undefined ? {} : { engine }) }),
    betanet({ listen }),
  ]

  test('reaches a peer that offers both over QUIC, in whatever order it learned the addresses', async () => {
    const a = await node(both())
    const b = await node(both())
    for (const address of [...b.addresses].reverse()) a.addAddress(address)
    const { delivered } = await a.send(b.id, 'hello')
    expect((await delivered).transport).toBe('quic')
  })

  test('uses HTX where QUIC cannot be had', async () => {
    const a = await node(both(quicheEngine('plan9-mips')))
    const b = await node(both())
    expect(a.transports.map(({ state, error }) => [state, (error as AivError | undefined)?.code])).toEqual([
      ['failed', 'QUIC_UNAVAILABLE'],
      ['up', undefined],
    ])
    for (const address of b.addresses) a.addAddress(address)
    const { delivered } = await a.send(b.id, 'hello')
    expect((await delivered).transport).toBe('betanet')
  })

  test('uses HTX where the network swallows UDP, without waiting for QUIC to give up', async () => {
    const a = await node(both(), { dialing: { staggerMs: 1 } })
    const b = await node(both())
    const silent = closing(await socket())
    a.addAddress(`quic://${b.id}@127.0.0.1:${silent.address().port}`)
    a.addAddress(b.addresses.find((address) => address.startsWith('htx:')) as string)
    const { delivered } = await a.send(b.id, 'hello')
    expect((await delivered).transport).toBe('betanet')
  })
})
