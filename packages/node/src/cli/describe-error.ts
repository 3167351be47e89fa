import { AivError } from '@aiv/transport-api'
import { NodeError } from '@aiv/core'
import { CommandError } from '../errors.js'
import { RemoteError } from '../local/local-client.js'
import type { LocalError } from '../local/local-protocol.js'

/** What a person can do about an error that did not bring its own hint. */
const hints: ReadonlyMap<string, string> = new Map([
  ['ADDRESS_UNSUPPORTED', 'addresses begin with htx:, ws:, wss: or, where a node has --ble, ble:'],
  ['DIAL_REFUSED', 'is the node running, and are host and port right?'],
  ['DIAL_TIMEOUT', 'is the node reachable from here?'],
  ['FILE_BUSY', 'try again later'],
  ['HANDSHAKE_FAILED', 'is that a port of an aiv node?'],
  ['IDENTITY_MISMATCH', 'another node answers at this address: compare the id with the one that its owner sees'],
  ['IDENTITY_OWN', 'this is the address of the sending node itself'],
  ['KEY_FILE_EXISTS', 'this node has an identity already: aiv id'],
  ['KEY_FILE_NOT_FOUND', 'make one with aiv init, or use --ephemeral'],
  ['KEY_FILE_PASSPHRASE_NEEDED', 'give it with --passphrase-file'],
  ['KEY_FILE_PASSPHRASE_WRONG', 'check the file given with --passphrase-file'],
  ['PEER_UNKNOWN', 'give an address, htx://id@host:port, and not only the id'],
  ['PEER_UNREACHABLE', 'is the node running, and is its address right?'],
  ['PROTOCOL_UNKNOWN', 'the other node does not take this'],
  ['TRANSPORT_PERMISSION', 'ports below 1024 need rights: choose another one'],
  ['TRANSPORT_PORT_TAKEN', 'choose another port with --port or --ws-port; 0 takes a free one'],
])

/** An error as a person or a program is told of it. */
export interface DescribedError extends LocalError {
  /** 1 failed, 2 wrong usage. */
  readonly exitCode: 1 | 2
}

/** Never throws. What is no error of ours is a bug: INTERNAL. */
export function describeError(thrown: unknown): DescribedError {
  const error = mostTelling(thrown)
  if (isAivError(error)) {
    const { code } = error
    const hint = error instanceof CommandError || error instanceof RemoteError ? error.hint : undefined
    const shown = hint ?? hints.get(code)
    return {
      code,
      message: error.message,
      ...(shown === undefined ? {} : { hint: shown }),
      retryable: error.retryable,
      exitCode: code === 'USAGE' ? 2 : 1,
    }
  }
  const message = error instanceof Error ? error.message : String(error)
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL'
  return { code, message, retryable: false, exitCode: 1 }
}

/**
 * When several addresses were tried: that somebody else answered is what one must hear of; and a single failure says
 * more than that everything failed.
 */
function mostTelling(error: unknown): unknown {
  if (!(error instanceof NodeError) || error.failures.length === 0) return error
  const codes = error.failures.filter(isAivError)
  const identity = codes.find(({ code }) => code.startsWith('IDENTITY_'))
  if (identity !== undefined) return identity
  const [first] = codes
  return first !== undefined && codes.every(({ code }) => code === first.code) ? first : error
}

const isAivError = (error: unknown): error is AivError => error instanceof AivError
