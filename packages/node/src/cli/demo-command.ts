import { Demo, type DemoPeer } from '../demo/demo.js'
import { demoTable } from '../demo/demo-table.js'
import { DEMO_VARIABLE } from '../demo/demo-process.js'
import { demoNode } from '../demo/demo-node.js'
import type { DemoRequest } from '../demo/demo-protocol.js'
import { CommandError } from '../errors.js'
import { interruptible, stopped, type Context } from './context.js'
import { printable } from './io.js'
import { formatBytes } from './output.js'
import { startProgress, type Progress } from './progress.js'

export interface DemoCommandOptions {
  readonly file?: string
  /** In bytes. */
  readonly size?: number
  readonly once?: boolean
}

/** `aiv demo`: the main job, shown. */
export async function demo({ output, io, json }: Context, options: DemoCommandOptions): Promise<void> {
  await interruptible(io, async (signal) => {
    let progress: Progress | undefined
    const show = new Demo({
      ...(options.file === undefined ? {} : { file: options.file }),
      ...(options.size === undefined ? {} : { sizeBytes: options.size }),
      signal,
      onNode: (peer) => {
        const { name, id, pid } = peer
        output.result(`  ${name.padEnd(8)} ${id}  process ${pid}`, { type: 'node', ...peer })
      },
      onStep: (text) => {
        output.result(text, { type: 'step', text })
      },
      onRow: (row) => {
        progress?.stop()
        progress = undefined
        output.event({ type: 'row', ...row, failoverGapMs: row.failoverGapMs ?? null, problem: row.problem ?? null })
      },
      onProgress: (done, size) => {
        progress ??= startProgress(io, json, 'file', size)
        progress.update(done)
      },
      onEvent: (name, event) => {
        const { from } = event
        const text =
          event.event === 'message'
            ? `${name}: message from ${from} over ${event.transport}: ${printable(event.text)}`
            : `${name}: file from ${from}: ${printable(event.name)}, ${formatBytes(event.size)}`
        const { event: type, ...fields } = event
        output.result(text, { type, node: name, ...fields })
      },
    })
    try {
      await show.run()
      const gap = show.rows.find(({ failoverGapMs }) => failoverGapMs !== undefined)?.failoverGapMs
      output.event({ type: 'result', ok: show.ok, failoverGapMs: gap ?? null })
      if (!json) output.result(['', ...demoTable(show.rows), ''], { type: 'table' })
      if (!show.ok) throw new CommandError('DEMO_FAILED', show.rows.flatMap(({ problem }) => problem ?? []).join('; '))
      if (options.once === true) return
      output.note(whatNow(show.peers).join('\n'))
      await stopped(io, signal)
      output.note('closing')
    } finally {
      progress?.stop()
      await show.close()
    }
  })
}

/** The hidden command that the demo starts its nodes with. */
export async function demoNodeCommand({ io }: Context): Promise<void> {
  if (io.env[DEMO_VARIABLE] === undefined || process.send === undefined) {
    throw new CommandError('USAGE', 'demo-node is started by aiv demo, and by nobody else')
  }
  // Ctrl-C reaches the whole group of processes; the demo says when it is over
  const ignore = (): void => undefined
  process.on('SIGINT', ignore)
  try {
    await demoNode({
      send: (message) => {
        if (process.connected) process.send?.(message, () => undefined)
      },
      onRequest: (listener) => process.on('message', (message) => listener(message as DemoRequest)),
      onGone: (listener) => process.once('disconnect', listener),
    })
  } finally {
    process.off('SIGINT', ignore)
    if (process.connected) process.disconnect()
  }
}

function whatNow(peers: readonly DemoPeer[]): string[] {
  const server = peers.find(({ name }) => name === 'server')
  const address = server?.addresses[0]
  if (address === undefined) return []
  return [
    'The three nodes stay up until Ctrl-C. In another terminal, send one of them something:',
    `  npx aiv send ${address} "hello" --wait`,
    `  npx aiv send ${address} --file README.md`,
  ]
}
