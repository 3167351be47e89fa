import { createNode, systemClock, type AivNode } from '@aiv/core'
import { betanet } from '@aiv/betanet'
import { bitchat, NobleBlenoRadio, type NobleBlenoOptions } from '@aiv/bitchat'
import { quic } from '@aiv/quic'
import { webSocket } from '@aiv/websocket'
import { loadNativeLz4, lz4Compressor } from '@aiv/htx-codec'
import { createIdentity, nodeCrypto, type Identity } from '@aiv/security'
import { silentLogger, type DeviceType, type Logger, type NodeId, type TransportFactory } from '@aiv/transport-api'

/** Where a transport listens; `dial`: it only dials; `off`: the node does without it. */
export type Listening = { readonly host: string | undefined; readonly port: number } | 'dial' | 'off'

export interface ComposeOptions {
  /** HTX over TCP. */
  readonly htx: Listening
  /** HTX over WebSocket. */
  readonly websocket: Listening
  /** BitChat over Bluetooth LE. @defaultValue without it */
  readonly ble?: NobleBlenoOptions
  /** QUIC, which needs a binary for this platform. @defaultValue 'off' */
  readonly quic?: Listening
  /**
   * QUIC before HTX: it moves along when an address changes, and carries bulk at a fraction of the speed.
   * @defaultValue false
   */
  readonly preferQuic?: boolean
  /** @defaultValue a fresh one, kept nowhere */
  readonly identity?: Identity
  readonly deviceType?: DeviceType
  readonly log?: Logger
  /** When given, nobody else connects. */
  readonly allow?: readonly NodeId[]
  /** Rounds over all addresses before a peer counts as unreachable. */
  readonly dialTries?: number
  readonly signal?: AbortSignal
}

/** The wiring: which transports a node of this program has, in the order of preference. */
export async function composeNode(options: ComposeOptions): Promise<AivNode> {
  const { identity = await createIdentity(), deviceType, log, allow, dialTries, signal } = options
  const compressor = (await loadNativeLz4()) ?? lz4Compressor()
  const transports: TransportFactory[] = []
  const { quic: quicAt = 'off', preferQuic = false } = options
  const addQuic = (): void => {
    if (quicAt !== 'off') transports.push(quic({ listen: listen(quicAt) }))
  }
  if (preferQuic) addQuic()
  if (options.htx !== 'off') transports.push(betanet({ listen: listen(options.htx) }))
  if (!preferQuic) addQuic()
  if (options.websocket !== 'off') transports.push(webSocket({ listen: listen(options.websocket) }))
  if (options.ble !== undefined) transports.push(mesh(identity, options.ble, log ?? silentLogger))
  return createNode({
    identity,
    transports,
    compressor,
    ...(deviceType === undefined ? {} : { deviceType }),
    ...(log === undefined ? {} : { log }),
    ...(allow === undefined ? {} : { allow }),
    ...(dialTries === undefined ? {} : { dialing: { tries: dialTries } }),
    ...(signal === undefined ? {} : { signal }),
  })
}

/** To neighbours: what small controllers have room for. */
const MAX_LINKS = 5
/** How long others may use the static key that is announced to them, in seconds; it is announced again long before. */
const STATIC_KEY_LIFE_S = 86_400

function mesh(identity: Identity, ble: NobleBlenoOptions, log: Logger): TransportFactory {
  return bitchat({
    radio: new NobleBlenoRadio({ clock: systemClock, log }, { maxLinks: MAX_LINKS, ...ble }),
    maxLinks: ble.maxLinks ?? MAX_LINKS,
    crypto: nodeCrypto,
    staticKey: (unixNow) => ({
      publicKey: identity.noiseStatic.publicKey,
      notAfter: Math.floor(unixNow / 1000) + STATIC_KEY_LIFE_S,
    }),
  })
}

function listen(at: Exclude<Listening, 'off'>): { host?: string; port: number } | false {
  if (at === 'dial') return false
  return { port: at.port, ...(at.host === undefined ? {} : { host: at.host }) }
}
