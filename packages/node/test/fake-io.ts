import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from '../src/cli/run.js'
import type { Io } from '../src/cli/io.js'

/** A terminal that is none: collects what a command says, and can wait for it. */
export class FakeIo {
  stdout = ''
  stderr = ''
  readonly #stopListeners = new Set<() => void>()
  readonly #waiting = new Set<() => void>()
  readonly io: Io

  constructor(
    options: { readonly stdin?: string | Uint8Array; readonly env?: Io['env']; readonly tty?: boolean } = {},
  ) {
    const { stdin, env = {} } = options
    const sink = (name: 'stdout' | 'stderr') => ({
      write: (text: string) => {
        this[name] += text
        for (const look of [...this.#waiting]) look()
      },
      isTty: false,
      stream: undefined,
    })
    this.io = {
      stdout: sink('stdout'),
      stderr: sink('stderr'),
      stdin: stdin === undefined ? undefined : pieces(typeof stdin === 'string' ? Buffer.from(stdin) : stdin),
      env,
      onStop: (listener) => {
        this.#stopListeners.add(listener)
        return () => this.#stopListeners.delete(listener)
      },
    }
  }

  /** What Ctrl-C does. */
  stop(): void {
    for (const listener of [...this.#stopListeners]) listener()
  }

  /** The first match on the standard output, now or later. */
  async saysOut(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout)
      if (match !== null) return match
      await new Promise<void>((resolve) => {
        const look = (): void => {
          this.#waiting.delete(look)
          resolve()
        }
        this.#waiting.add(look)
      })
    }
  }

  /** The lines of the standard output as JSON. */
  get objects(): Record<string, unknown>[] {
    const lines = this.stdout.split('\n').filter((line) => line !== '')
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000)
}

/** Runs a command to its end. */
export async function runToEnd(
  args: readonly string[],
  options: ConstructorParameters<typeof FakeIo>[0] = {},
): Promise<{ code: number; stdout: string; stderr: string; objects: () => Record<string, unknown>[] }> {
  const fake = new FakeIo(options)
  const code = await run(args, fake.io)
  return { code, stdout: fake.stdout, stderr: fake.stderr, objects: () => fake.objects }
}

/** A folder for one test, gone afterwards. */
export async function inTemporaryFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'aiv-test-'))
  try {
    return await work(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
