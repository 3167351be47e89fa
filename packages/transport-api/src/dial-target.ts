import { type Address, formatAddress, parseAddress } from './address.js'
import { ArgumentError, DialError } from './errors.js'
import { isNodeId, type NodeId } from './node-id.js'
import type { Transport } from './transport.js'

/** @throws DialError ADDRESS_INVALID for what is no address, ADDRESS_UNSUPPORTED for one of another scheme. */
export function parseDialAddress({ name, schemes }: Pick<Transport, 'name' | 'schemes'>, text: string): Address {
  let address: Address
  try {
    address = parseAddress(text)
  } catch (error) {
    throw new DialError('ADDRESS_INVALID', error instanceof Error ? error.message : text, { cause: error })
  }
  if (schemes.includes(address.scheme)) return address
  throw new DialError('ADDRESS_UNSUPPORTED', `${name} takes ${schemes.join(', ')}, not ${address.scheme}`)
}

/**
 * Where a dial to a host goes, and the only node that it accepts there: the one that is expected or that the address
 * names; `undefined`: whoever answers.
 * @param nodes - the node that dials, and `DialOptions.expected`.
 * @throws what {@link parseDialAddress} throws; DialError ADDRESS_INVALID without a host or when the two differ,
 * IDENTITY_OWN; ArgumentError when the expected node is no node id.
 */
export function dialTarget(
  transport: Pick<Transport, 'name' | 'schemes'>,
  text: string,
  nodes: { readonly own: NodeId; readonly expected: NodeId | undefined },
): { readonly address: Address; readonly expected: NodeId | undefined } {
  const address = parseDialAddress(transport, text)
  if (address.host === '') throw new DialError('ADDRESS_INVALID', `${formatAddress(address)} names no host`)
  const { own, expected } = nodes
  if (expected !== undefined && !isNodeId(expected)) throw new ArgumentError('the expected node is no node id')
  if (expected !== undefined && address.nodeId !== undefined && expected !== address.nodeId) {
    throw new DialError('ADDRESS_INVALID', `the address names ${address.nodeId}, expected was ${expected}`)
  }
  const only = expected ?? address.nodeId
  if (only === own) throw new DialError('IDENTITY_OWN', 'this address names the node itself')
  return { address, expected: only }
}
