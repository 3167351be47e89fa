import { ArgumentError } from './errors.js'
import { isNodeId, type NodeId } from './node-id.js'

/**
 * Where a node can be dialled: a URL whose scheme names the transport and whose user part is the node id where known,
 * `htx://<id>@192.0.2.7:8888`, `ws://<id>@example.org/p2p`, `mem://<id>`.
 */
export interface Address {
  /** Lowercase, without the colon. */
  readonly scheme: string
  /** The node expected there; `undefined` when the address does not say. */
  readonly nodeId: NodeId | undefined
  /** Host name or IP address, IPv6 without brackets; empty in `mem://<id>` and `ble://<id>`. */
  readonly host: string
  /** 1 to 65,535; `undefined` when the address leaves it to the scheme. */
  readonly port: number | undefined
  /** Path with its leading slash, query included; empty when there is none. */
  readonly path: string
}

/** Longest address taken, in characters: it has to fit a peer record's one-byte length. */
export const MAX_ADDRESS_LENGTH = 255

const pattern =
  /^([a-z][a-z0-9+.-]*):\/\/(?:([^@/?#]*)@)?(\[[0-9a-zA-Z.%]*:[0-9a-zA-Z:.%]*\]|[^\s:/?#@[\]]*)(?::(\d{1,5}))?(\/[^#\s]*)?$/

/**
 * @throws ArgumentError when `text` is no address: no scheme, a user part that is no node id, a password, a port out of
 * range, a fragment, or more than 255 characters.
 */
export function parseAddress(text: string): Address {
  const shown = text.slice(0, 80)
  const match = text.length <= MAX_ADDRESS_LENGTH ? pattern.exec(text) : null
  if (match === null) throw new ArgumentError(`"${shown}" is no address: scheme://id@host:port`)
  const [, scheme = '', user, rawHost = '', rawPort, path = ''] = match
  let host = rawHost.startsWith('[') ? rawHost.slice(1, -1) : rawHost
  let nodeId: NodeId | undefined
  if (user !== undefined) {
    if (!isNodeId(user)) throw new ArgumentError(`"${shown}": the part before @ is no node id`)
    nodeId = user
  } else if (rawPort === undefined && isNodeId(host)) {
    // mem://<id> and ble://<id>: there is no host, the id is all there is
    nodeId = host
    host = ''
  }
  const port = rawPort === undefined ? undefined : Number(rawPort)
  if (port !== undefined && (port === 0 || port > 65_535)) throw new ArgumentError(`"${shown}": port out of range`)
  if (host === '' && (nodeId === undefined || user !== undefined || port !== undefined)) {
    throw new ArgumentError(`"${shown}" names no host`)
  }
  return { scheme, nodeId, host, port, path }
}

/** The inverse of {@link parseAddress}. */
export function formatAddress(address: Address): string {
  const { scheme, nodeId, host, port, path } = address
  if (host === '') return `${scheme}://${nodeId ?? ''}${path}`
  const shownHost = host.includes(':') ? `[${host}]` : host
  return `${scheme}://${nodeId === undefined ? '' : `${nodeId}@`}${shownHost}${port === undefined ? '' : `:${port}`}${path}`
}
