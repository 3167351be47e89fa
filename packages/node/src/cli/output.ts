import type { DescribedError } from './describe-error.js'
import { describeError } from './describe-error.js'
import { printable, type Io } from './io.js'

/**
 * What a command says: results to the standard output, everything else to the standard error. With `--json` each result
 * is one JSON object a line, with a `type`.
 */
export class Output {
  constructor(
    private readonly io: Io,
    readonly json: boolean,
    private readonly verbose: boolean,
  ) {}

  /** A result: a line for people, an object for machines. */
  result(
    text: string | readonly string[],
    object: { readonly type: string } & Readonly<Record<string, unknown>>,
  ): void {
    if (this.json) this.io.stdout.write(`${JSON.stringify(object)}\n`)
    else for (const line of typeof text === 'string' ? [text] : text) this.io.stdout.write(`${line}\n`)
  }

  /** For machines only: what people see in another form. */
  event(object: { readonly type: string } & Readonly<Record<string, unknown>>): void {
    if (this.json) this.io.stdout.write(`${JSON.stringify(object)}\n`)
  }

  /** For people only, beside the results. */
  note(text: string): void {
    if (!this.json) this.io.stderr.write(`${text}\n`)
  }

  /** Only with `--verbose`. */
  detail(text: string): void {
    if (this.verbose) this.io.stderr.write(`${text}\n`)
  }

  /** One line: `error CODE: message (hint: …)`, and an object for machines. */
  error(error: unknown): DescribedError {
    const described = describeError(error)
    const { code, message, hint } = described
    this.event({ type: 'error', code, message, ...(hint === undefined ? {} : { hint }) })
    this.io.stderr.write(`error ${errorLine(described)}\n`)
    if (this.verbose && error instanceof Error && error.stack !== undefined) this.io.stderr.write(`${error.stack}\n`)
    return described
  }

  /** What does not end the command. */
  warning(error: unknown): void {
    const { code, message, hint } = describeError(error)
    this.event({ type: 'warning', code, message, ...(hint === undefined ? {} : { hint }) })
    this.io.stderr.write(`warning ${errorLine(describeError(error))}\n`)
  }
}

function errorLine({ code, message, hint }: DescribedError): string {
  return `${code}: ${printable(message, 500)}${hint === undefined ? '' : ` (hint: ${printable(hint, 300)})`}`
}

/** `1,536 bytes` below a megabyte, then `1.5 MiB`, `1.50 GiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1_048_576) return `${bytes.toLocaleString('en-US')} ${bytes === 1 ? 'byte' : 'bytes'}`
  if (bytes < 1_073_741_824) return `${(bytes / 1_048_576).toFixed(1)} MiB`
  return `${(bytes / 1_073_741_824).toFixed(2)} GiB`
}

/** `12 ms`, `3.4 s`, `2 min 5 s`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`
}

/** MiB/s to one decimal; `-` when too little time passed to say. */
export function formatRate(bytes: number, ms: number): string {
  return ms <= 0 ? '-' : `${(bytes / 1_048_576 / (ms / 1000)).toFixed(1)} MiB/s`
}
