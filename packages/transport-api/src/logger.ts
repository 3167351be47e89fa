/** What happened beside an event: short values, no secrets, no payloads. */
export type LogFields = Readonly<Record<string, unknown>>

/** Handed in by the program. `event` is a fixed word such as `connection closed`; what varies goes into `fields`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
}

const ignore = (): void => undefined

/** Says nothing. */
export const silentLogger: Logger = Object.freeze({ debug: ignore, info: ignore, warn: ignore, error: ignore })
