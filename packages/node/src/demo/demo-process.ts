import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { CommandError } from '../errors.js'
import { packageFolder } from '../package-folder.js'
import { RemoteError } from '../local/local-client.js'
import type { DemoCommand, DemoCommands, DemoEvent, DemoReply } from './demo-protocol.js'

/** The program itself: its hidden command `demo-node` becomes one of the three nodes. */
const PROGRAM = fileURLToPath(new URL('bin/aiv.mjs', packageFolder))
/** Set in the environment of those processes: the hidden command is nothing for anybody else. */
export const DEMO_VARIABLE = 'AIV_DEMO_NODE'
/** Longest that a process may take to end by itself, in ms. */
const END_TIMEOUT_MS = 5000

interface Waiting {
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
}

/** One of the demo's nodes, in a process of its own. */
export class DemoProcess {
  readonly name: string
  readonly #child: ChildProcess
  readonly #ended: Promise<void>
  readonly #waiting = new Map<number, Waiting>()
  readonly #kill: () => void
  #ids = 0
  #over: CommandError | undefined

  /** @param onEvent - what the process tells without being asked */
  constructor(name: string, onEvent: (event: DemoEvent) => void) {
    this.name = name
    const child = fork(PROGRAM, ['demo-node'], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      execArgv: [],
      env: { ...process.env, [DEMO_VARIABLE]: '1' },
    })
    this.#child = child
    this.#kill = () => child.kill('SIGKILL')
    process.once('exit', this.#kill)
    child.on('message', (message) => {
      const said = message as DemoReply | DemoEvent
      if ('event' in said) return onEvent(said)
      const waiting = this.#waiting.get(said.id)
      this.#waiting.delete(said.id)
      if (said.ok) waiting?.resolve(said.answer)
      else waiting?.reject(this.#named(said.error))
    })
    this.#ended = new Promise((resolve) => {
      const end = (why: string): void => {
        process.off('exit', this.#kill)
        this.#over ??= new CommandError('DEMO_FAILED', `the process of the ${name} ${why}`)
        for (const { reject } of this.#waiting.values()) reject(this.#over)
        this.#waiting.clear()
        resolve()
      }
      child.once('error', (error) => end(`could not be started: ${error.message}`))
      child.once('exit', (code, signal) => end(`ended with ${signal ?? code ?? 'nothing'}`))
    })
  }

  /** @throws CommandError DEMO_FAILED when no answer comes in time or the process ends; RemoteError what it answers */
  async ask<C extends DemoCommand>(
    command: C,
    ask: DemoCommands[C]['ask'],
    options: { readonly timeoutMs: number; readonly signal: AbortSignal },
  ): Promise<DemoCommands[C]['answer']> {
    const { timeoutMs, signal } = options
    signal.throwIfAborted()
    const id = ++this.#ids
    let timer: NodeJS.Timeout | undefined
    const onAbort = (): void => this.#waiting.get(id)?.reject(signal.reason)
    try {
      return (await new Promise<unknown>((resolve, reject) => {
        if (this.#over !== undefined) throw this.#over
        this.#waiting.set(id, { resolve, reject })
        signal.addEventListener('abort', onAbort, { once: true })
        timer = setTimeout(() => {
          const after = `in ${Math.round(timeoutMs / 1000)} s`
          reject(new CommandError('DEMO_FAILED', `the ${this.name} did not answer "${command}" ${after}`))
        }, timeoutMs)
        this.#child.send({ id, command, ask }, (error) => {
          if (error !== null) reject(new CommandError('DEMO_FAILED', `the ${this.name} is gone`, { cause: error }))
        })
      })) as DemoCommands[C]['answer']
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      this.#waiting.delete(id)
    }
  }

  /** Asks it to end, and ends it when it does not. Never throws. */
  async close(): Promise<void> {
    const timer = setTimeout(this.#kill, END_TIMEOUT_MS)
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
    clearTimeout(timer)
  }

  #named({ code, message, hint, retryable }: Extract<DemoReply, { ok: false }>['error']): RemoteError {
    return new RemoteError(code, `${this.name}: ${message}`, hint, retryable)
  }
}
