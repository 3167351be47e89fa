import { randomBytes } from 'node:crypto'
import { Keeper, TestClock, TestHost } from '@aiv/testkit'
import {
  type LocalIdentity,
  type NodeId,
  silentLogger,
  type Transport,
  type TransportComponents,
} from '@aiv/transport-api'
import { createIdentity, secureChannels } from '@aiv/security'
import { quic, type QuicOptions } from '../src/index.js'

export interface TestNode {
  readonly components: TransportComponents & { readonly identity: LocalIdentity }
  readonly clock: TestClock
}

export async function testNode(clock = new TestClock()): Promise<TestNode> {
  const identity = await createIdentity()
  return {
    clock,
    components: {
      identity,
      secure: secureChannels({ identity, clock }),
      clock,
      random: { bytes: (length) => randomBytes(length), uniform: () => Math.random() },
      log: silentLogger,
      metrics: undefined,
    },
  }
}

/** A started transport. */
export interface Station {
  readonly node: TestNode
  readonly host: TestHost
  readonly transport: Transport
  readonly nodeId: NodeId
  /** Of the listener; 0 for one that only dials. */
  readonly port: number
}

const transports: Transport[] = []
const others: { close(): unknown }[] = []

/** Closes everything that tests of this file have started; what stands between transports after them. */
export async function closeAll(): Promise<void> {
  await Promise.all(transports.splice(0).map((one) => one.close()))
  for (const one of others.splice(0)) one.close()
}

/** Has `one` closed after the test. */
export function closing<T extends { close(): unknown }>(one: T): T {
  others.push(one)
  return one
}

export async function listener(options: QuicOptions = {}, node?: TestNode): Promise<Station> {
  return station({ listen: { host: '127.0.0.1', port: 0 }, ...options }, node ?? (await testNode()))
}

export async function dialler(options: QuicOptions = {}, node?: TestNode): Promise<Station> {
  return station({ listen: false, ...options }, node ?? (await testNode()))
}

async function station(options: QuicOptions, node: TestNode): Promise<Station> {
  const transport = quic(options)(node.components)
  transports.push(transport)
  const host = new TestHost()
  await transport.start(host)
  const port = Number(/:(\d+)$/.exec(host.addresses[0] ?? '')?.[1] ?? 0)
  return { node, host, transport, nodeId: node.components.identity.nodeId, port }
}

/** Dials `to` at `port`, which is its own unless a proxy stands between. */
export async function dial(from: Station, to: Station, port = to.port, early = false): Promise<Keeper> {
  const connection = await from.transport.dial(`quic://127.0.0.1:${port}`, { expected: to.nodeId, early })
  return new Keeper(connection)
}

/** Both ends of a fresh connection. */
export async function connect(from: Station, to: Station, port = to.port, early = false): Promise<[Keeper, Keeper]> {
  const accepted = to.host.next()
  const near = await dial(from, to, port, early)
  return [near, await accepted]
}
