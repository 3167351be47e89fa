import type { Environment } from '../data-folder.js'

/** Where a command writes. */
export interface TextSink {
  write(text: string): void
  readonly isTty: boolean
  /** What a progress bar draws on, when it is a terminal. */
  readonly stream: NodeJS.WritableStream | undefined
}

/** All that a command has from outside. */
export interface Io {
  readonly stdout: TextSink
  readonly stderr: TextSink
  /** Piped input; `undefined` where there is a person at a keyboard. */
  readonly stdin: AsyncIterable<Uint8Array> | undefined
  readonly env: Environment
  /** Calls `listener` at SIGINT and SIGTERM; the returned function ends that. */
  onStop(listener: () => void): () => void
}

/** The real ones. */
export function processIo(): Io {
  const sink = (stream: NodeJS.WriteStream): TextSink => ({
    write: (text) => void stream.write(text),
    isTty: stream.isTTY === true,
    stream,
  })
  return {
    stdout: sink(process.stdout),
    stderr: sink(process.stderr),
    // touched only when it is read: a command that reads nothing must not wait for the end of its input
    get stdin() {
      return process.stdin.isTTY ? undefined : (process.stdin as AsyncIterable<Uint8Array>)
    },
    env: process.env,
    onStop: (listener) => {
      process.on('SIGINT', listener)
      process.on('SIGTERM', listener)
      return () => {
        process.off('SIGINT', listener)
        process.off('SIGTERM', listener)
      }
    },
  }
}

/**
 * Text of somebody else's, made harmless for a terminal: control and formatting characters, with which one could move
 * the cursor or hide what stands there, are written as escapes. Cut after `maxLength` characters.
 */
export function printable(text: string, maxLength = 4000): string {
  const shown = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
  return shown.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu, (character) => {
    if (character === '\n') return '\\n'
    return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`
  })
}
