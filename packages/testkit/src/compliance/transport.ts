import type { Clock, NodeId, Transport } from '@aiv/transport-api'
import { check } from './assert.js'
import { closingTests } from './transport-closing.js'
import { dataTests } from './transport-data.js'
import { dialTests } from './transport-dialling.js'
import { type Station, Recorder, RecordingHost, Waiter, addressOf } from './recorder.js'
import { equal } from './assert.js'
import type { ComplianceRunner } from './runner.js'

/** Where one test of {@link transportCompliance} takes place: made by the setup, thrown away after the test. */
export interface TransportBench {
  /**
   * A transport that is not started yet, with an identity of its own. The suite dials from `dialler` nodes to
   * `listener` nodes only, so that a transport that cannot listen is tested against one that can.
   */
  node(name: string, role: 'dialler' | 'listener'): TransportBenchNode | Promise<TransportBenchNode>
  /** What time it is: the world's, or the system's. */
  readonly clock: Clock
  /** An address with a scheme of this transport at which nobody listens. */
  readonly deadAddress: string
  /** Virtual time: lets `ms` of it pass. Absent: real time. */
  advance?(ms: number): Promise<void>
  /**
   * Cuts every connection at once without a goodbye, as a pulled plug with a reset does. Without it the test of a remote
   * that vanishes is left to `abort`.
   */
  sever?(): void
  /** Sockets, timers and such that are open. Must be 0 after every transport was closed. */
  openHandles?(): number
  /** Called after every test, when its transports are closed. */
  cleanup(): void | Promise<void>
}

export interface TransportBenchNode {
  readonly transport: Transport
  readonly nodeId: NodeId
}

/** What {@link transportCompliance} needs of an implementation. */
export interface TransportComplianceSetup {
  create(): TransportBench | Promise<TransportBench>
  /**
   * How long a test waits for something that has to come, in ms. It is only there to end a test that would hang with a
   * message that says what did not come; keep it below the runner's own limit.
   * @defaultValue 4_500; where time is virtual 600_000
   */
  readonly patienceMs?: number
}

/** What the tests work with. */
export interface Scene {
  readonly bench: TransportBench
  readonly waiter: Waiter
  /** A node that has not been started. */
  readonly station: (name: string, role: 'dialler' | 'listener') => Promise<Station>
  /** Starts a station; a listener has named its address then. */
  readonly start: (station: Station) => Promise<Station>
  /** A started dialler, a started listener, and both ends of a connection between them. */
  readonly connect: () => Promise<Connected>
  /** Dials and attaches; resolves when the listener has the connection too. */
  readonly dial: (from: Station, to: Station) => Promise<{ readonly near: Recorder; readonly far: Recorder }>
}

export interface Connected {
  readonly dialler: Station
  readonly listener: Station
  /** The dialled end. */
  readonly near: Recorder
  /** The accepted end. */
  readonly far: Recorder
}

/** Registers one test that gets a fresh scene. */
export type SceneTest = (name: string, body: (scene: Scene) => Promise<void>) => void

/**
 * What every `Transport`, with its connections, owes its host. The whole use, with jest or node:test, over real sockets:
 *
 * ```ts
 * import { describe, test } from 'node:test' // or from '@jest/globals'
 * import { transportCompliance } from '@aiv/testkit'
 *
 * transportCompliance({ describe, test }, {
 *   create: () => ({
 *     async node(name, role) {
 *       const components = await componentsFor(name) // identity, secure, clock, random, log, metrics
 *       const listen = role === 'listener' ? [{ host: '127.0.0.1', port: 0 }] : []
 *       return { transport: myTransport({ listen })(components), nodeId: components.identity.nodeId }
 *     },
 *     clock: systemClock,
 *     deadAddress: 'mine://127.0.0.1:1',
 *     cleanup: () => undefined,
 *   }),
 * })
 * ```
 *
 * No test sleeps: each waits for callbacks and promises.
 */
export function transportCompliance(runner: ComplianceRunner, setup: TransportComplianceSetup): void {
  const test: SceneTest = (name, body) => void runner.test(name, () => play(setup, body))
  runner.describe('Transport compliance', () => {
    runner.describe('starting, dialling and accepting', () => dialTests(test))
    runner.describe('packets', () => dataTests(test))
    runner.describe('closing', () => closingTests(test))
  })
}

/** Sets the scene, plays `body` in it, closes everything, and looks for what was left behind. */
async function play(setup: TransportComplianceSetup, body: (scene: Scene) => Promise<void>): Promise<void> {
  const bench = await setup.create()
  const patienceMs = setup.patienceMs ?? (bench.advance === undefined ? 4_500 : 600_000)
  const pace = { clock: bench.clock, advance: bench.advance?.bind(bench), patienceMs }
  const waiter = new Waiter(pace)
  const stations: Station[] = []
  const recorders: Recorder[] = []

  const scene: Scene = {
    bench,
    waiter,
    async station(name, role) {
      const node = await bench.node(name, role)
      const station = { transport: node.transport, nodeId: node.nodeId, host: new RecordingHost(waiter) }
      stations.push(station)
      return station
    },
    async start(station) {
      await waiter.settled(station.transport.start(station.host), 'transport.start()')
      return station
    },
    async connect() {
      const dialler = await scene.start(await scene.station('dialler', 'dialler'))
      const listener = await scene.start(await scene.station('listener', 'listener'))
      return { dialler, listener, ...(await scene.dial(dialler, listener)) }
    },
    async dial(from, to) {
      const before = to.host.accepted.length
      const dialled = from.transport.dial(addressOf(to), { expected: to.nodeId })
      const connection = await waiter.settled(dialled, 'a dial to a listener')
      const near = new Recorder(connection, waiter)
      recorders.push(near)
      connection.attach(near)
      await waiter.until(() => to.host.accepted.length > before, 'onConnection at the listener')
      const far = to.host.accepted[before]
      check(far !== undefined, 'the listener lost its connection')
      return { near, far }
    },
  }

  try {
    await body(scene)
    for (const { transport } of stations) await waiter.settled(transport.close(), 'transport.close()')
    for (const { host } of stations) {
      recorders.push(...host.accepted.filter((recorder) => host.attaches && !recorders.includes(recorder)))
      equal(host.downs, [], 'errors given to onDown by a transport that was closed by its host')
    }
    for (const recorder of recorders) {
      await waiter.until(() => recorder.isClosed(), 'onClosed of a connection whose transport is closed')
      equal(recorder.faults, [], 'calls to a handler that was told onClosed, which is the last one')
    }
    await waiter.polled(() => (bench.openHandles?.() ?? 0) === 0, 'the last open handle to go')
  } finally {
    // after a failure too, so that it does not make the next test fail or the process stay
    await Promise.race([Promise.allSettled(stations.map(({ transport }) => transport.close())), waiter.turns(50)])
    await bench.cleanup()
  }
}
