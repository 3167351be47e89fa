/**
 * What `aiv send` and a running node say to each other over the local socket: one JSON object a line. A request has an
 * `id` of the client's choosing; any number of `event` lines and exactly one last line carry the same id.
 */
export type LocalRequest =
  | { readonly id: number; readonly op: 'status' }
  | {
      readonly id: number
      readonly op: 'send'
      readonly to: string
      /** The payload in base64. */
      readonly payload: string
      readonly protocol: string
      readonly priority: number
      /** Answer when the recipient has acknowledged, not when the message was handed over. */
      readonly wait: boolean
      readonly timeoutMs?: number
    }
  | {
      readonly id: number
      readonly op: 'send-file'
      readonly to: string
      /** Absolute: the node has another working directory. */
      readonly path: string
      readonly priority?: number
    }

/** An error as it crosses the socket. */
export interface LocalError {
  readonly code: string
  readonly message: string
  readonly hint?: string
  readonly retryable: boolean
}

export type LocalResponse =
  | { readonly id: number; readonly event: unknown }
  | { readonly id: number; readonly ok: true; readonly result: unknown }
  | { readonly id: number; readonly ok: false; readonly error: LocalError }

/** Longest line: a message of 16 MiB in base64 and what is around it. */
export const MAX_LINE_BYTES = 24 * 1024 * 1024
/** Clients at the same time; further ones are closed at once. */
export const MAX_CLIENTS = 16
/** Requests of one client that are being worked on; further ones are refused with BUSY. */
export const MAX_REQUESTS_PER_CLIENT = 16

/** `undefined` for a line that is no request. */
export function parseLocalRequest(line: string): LocalRequest | undefined {
  const value = parseObject(line)
  if (value === undefined || !Number.isSafeInteger(value['id'])) return undefined
  const id = value['id'] as number
  const { op, to, payload, protocol, priority, wait, timeoutMs, path } = value
  const timeout = typeof timeoutMs === 'number' && timeoutMs > 0 ? { timeoutMs } : {}
  const urgency = typeof priority === 'number' && [0, 1, 2, 3].includes(priority) ? priority : undefined
  if (op === 'status') return { id, op }
  if (typeof to !== 'string') return undefined
  if (op === 'send') {
    if (typeof payload !== 'string' || typeof protocol !== 'string' || typeof wait !== 'boolean') return undefined
    return urgency === undefined ? undefined : { id, op, to, payload, protocol, priority: urgency, wait, ...timeout }
  }
  if (op !== 'send-file' || typeof path !== 'string') return undefined
  return { id, op, to, path, ...(urgency === undefined ? {} : { priority: urgency }) }
}

/** `undefined` for a line that is no response. */
export function parseLocalResponse(line: string): LocalResponse | undefined {
  const value = parseObject(line)
  if (value === undefined || !Number.isSafeInteger(value['id'])) return undefined
  const id = value['id'] as number
  if ('event' in value) return { id, event: value['event'] }
  if (value['ok'] === true) return { id, ok: true, result: value['result'] }
  const error = value['error']
  if (value['ok'] !== false || typeof error !== 'object' || error === null) return undefined
  const { code, message, hint, retryable } = error as Record<string, unknown>
  if (typeof code !== 'string' || typeof message !== 'string') return undefined
  const shown = typeof hint === 'string' ? { hint } : {}
  return { id, ok: false, error: { code, message, ...shown, retryable: retryable === true } }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}
