import { AivError, type LogFields, type Logger } from '@aiv/transport-api'
import { dataFolder, defaultDataPath, type DataFolder } from '../data-folder.js'
import { CommandError } from '../errors.js'
import { printable, type Io } from './io.js'
import { Output } from './output.js'

/** Options that every command takes. */
export interface GlobalOptions {
  readonly json?: boolean
  readonly dataDir?: string
  readonly verbose?: boolean
}

/** What every command works with. */
export interface Context {
  readonly io: Io
  readonly json: boolean
  readonly output: Output
  readonly folder: DataFolder
  readonly log: Logger | undefined
}

export function makeContext(io: Io, options: GlobalOptions): Context {
  const { json = false, verbose = false, dataDir } = options
  const output = new Output(io, json, verbose)
  const log = verbose ? logTo(output) : undefined
  return { io, json, output, folder: dataFolder(dataDir ?? defaultDataPath(io.env)), log }
}

/**
 * Aborts at SIGINT and SIGTERM, with INTERRUPTED, for as long as `work` runs.
 */
export async function interruptible<T>(io: Io, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController()
  const unsubscribe = io.onStop(() => abort.abort(new CommandError('INTERRUPTED', 'stopped before it was done')))
  try {
    return await work(abort.signal)
  } finally {
    unsubscribe()
  }
}

/** Resolves at SIGINT or SIGTERM, or when `signal` aborts. */
export function stopped(io: Io, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve()
    const unsubscribe = io.onStop(() => {
      unsubscribe()
      resolve()
    })
    signal?.addEventListener('abort', () => {
      unsubscribe()
      resolve()
    })
  })
}

function logTo(output: Output): Logger {
  const line =
    (level: string) =>
    (event: string, fields: LogFields = {}): void => {
      const shown = Object.entries(fields).map(([name, value]) => `${name}=${printable(show(value), 200)}`)
      output.detail([level, event, ...shown].join(' '))
    }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}

function show(value: unknown): string {
  if (value instanceof AivError) return `${value.code} ${value.message}`
  if (value instanceof Error) return value.message
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value))
}
