import { mkdtemp, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NobleBlenoOptions } from '@aiv/bitchat'
import type { AivNode, Message } from '@aiv/core'
import { toHex, type DeviceType, type NodeId } from '@aiv/transport-api'
import { composeNode, type Listening } from '../compose-node.js'
import { makeDataFolder } from '../data-folder.js'
import { takeDataLock, type DataLock } from '../data-lock.js'
import { receiveFiles, type FileReceiver } from '../file/receive-files.js'
import { LocalServer } from '../local/local-server.js'
import { localSocketPath } from '../local/socket-path.js'
import { openIdentity } from '../own-identity.js'
import { localHandler } from '../local/local-handler.js'
import { priorityName } from '../priority-name.js'
import { stopped, type Context } from './context.js'
import { describeError } from './describe-error.js'
import { printable } from './io.js'
import { formatBytes, formatDuration, formatRate } from './output.js'
import { startProgress, type Progress } from './progress.js'

export interface UpOptions {
  readonly port?: number
  readonly wsPort?: number
  /** False with `--no-htx`. */
  readonly htx: boolean
  /** False with `--no-websocket`. */
  readonly websocket: boolean
  readonly ble?: boolean
  /** Implies {@link ble}. */
  readonly bleAdapter?: NobleBlenoOptions
  readonly quic?: boolean
  readonly quicPort?: number
  readonly host?: string
  readonly device: DeviceType
  readonly ephemeral?: boolean
  readonly receiveDir?: string
  /** False with `--no-receive`. */
  readonly receive: boolean
  readonly allow?: readonly NodeId[]
  readonly passphraseFile?: string
}

/** The ports of a node that has a place of its own; an ephemeral one takes free ones. */
const HTX_PORT = 8888
const WEBSOCKET_PORT = 8889
const QUIC_PORT = 8890

/** Between two progress events for machines, in ms. */
const PROGRESS_EVERY_MS = 100

/** `aiv up`: runs a node until it is stopped, and prints what arrives. */
export async function up(context: Context, options: UpOptions): Promise<void> {
  const { output, io, folder } = context
  const ephemeral = options.ephemeral === true
  // whatever was opened, closed in the opposite order
  const opened: { close(): Promise<unknown> }[] = []
  try {
    if (!ephemeral) {
      // an identity first: whoever has none is told to make one, and no folder is made for him
      const identity = await openIdentity(folder, options.passphraseFile)
      await makeDataFolder(folder)
      const lock: DataLock = await takeDataLock(folder.lockFile)
      opened.push({ close: () => lock.release() })
      opened.push(await run(context, options, identity))
    } else {
      opened.push(await run(context, options, undefined))
    }
    const node = opened.at(-1) as Running
    if (!ephemeral) {
      const path = localSocketPath(folder)
      const handler = localHandler(node.node)
      opened.push(await LocalServer.listen({ path, handler, describe: describeError }))
    }
    announce(context, node)
    await stopped(io)
    output.note('closing')
  } finally {
    for (const resource of opened.reverse()) await resource.close()
  }
  output.event({ type: 'closed' })
}

interface Running {
  readonly node: AivNode
  readonly directory: string | undefined
  close(): Promise<void>
}

async function run(
  context: Context,
  options: UpOptions,
  identity: Awaited<ReturnType<typeof openIdentity>> | undefined,
): Promise<Running> {
  const { output, folder, log } = context
  const { host } = options
  const at = (wanted: boolean, port: number | undefined, usual: number): Listening =>
    wanted ? { host, port: port ?? (identity === undefined ? 0 : usual) } : 'off'
  const node = await composeNode({
    htx: at(options.htx, options.port, HTX_PORT),
    websocket: at(options.websocket, options.wsPort, WEBSOCKET_PORT),
    ...(options.ble === true || options.bleAdapter !== undefined ? { ble: options.bleAdapter ?? {} } : {}),
    quic: at(options.quic === true || options.quicPort !== undefined, options.quicPort, QUIC_PORT),
    // Whoever asks for it wants it used
    preferQuic: true,
    deviceType: options.device,
    ...(identity === undefined ? {} : { identity }),
    ...(log === undefined ? {} : { log }),
    ...(options.allow === undefined ? {} : { allow: options.allow }),
  })
  let receiver: FileReceiver | undefined
  let directory: string | undefined
  let temporary: string | undefined
  try {
    if (options.receive) {
      directory = options.receiveDir ?? (identity === undefined ? undefined : folder.receivedFolder)
      directory ??= temporary = await mkdtemp(join(tmpdir(), 'aiv-received-'))
      receiver = showFiles(context, node, directory)
    }
  } catch (error) {
    await node.close()
    throw error
  }
  node.addEventListener('transport-down', ({ detail }) => output.warning(detail.error))
  const messages = showMessages(context, node)
  return {
    node,
    directory,
    close: async () => {
      await receiver?.close()
      await node.close()
      await messages
      // stays when there is something in it
      if (temporary !== undefined) await rmdir(temporary).catch(() => undefined)
    },
  }
}

function announce({ output }: Context, { node, directory }: Running): void {
  for (const { error } of node.transports) if (error !== undefined) output.warning(error)
  output.note(`node ${node.id} is up${directory === undefined ? '' : `; files go to ${directory}`}; Ctrl-C stops it`)
  output.result(node.addresses, {
    type: 'listening',
    id: node.id,
    addresses: node.addresses,
    receiveDir: directory ?? null,
    transports: node.transports.map(({ name, state, addresses, error }) => ({
      name,
      state,
      addresses,
      ...(error === undefined ? {} : { error: describeError(error).code }),
    })),
  })
}

async function showMessages({ output }: Context, node: AivNode): Promise<void> {
  for await (const message of node.messages()) {
    const { from, protocol, priority, transport, payload } = message
    const text = readable(message)
    const under = protocol === '' ? '' : ` under ${printable(protocol, 32)}`
    const shown =
      text === undefined ? `${formatBytes(payload.length)} ${toHex(payload.subarray(0, 32))}` : printable(text)
    output.result(`message from ${from} over ${transport}${under}: ${shown}`, {
      type: 'message',
      from,
      protocol,
      priority: priorityName(priority),
      transport,
      bytes: payload.length,
      ...(text === undefined ? { base64: Buffer.from(payload).toString('base64') } : { text }),
    })
  }
}

/** The text of a message that is text, else `undefined`. */
function readable({ payload }: Message): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(payload)
  } catch {
    return undefined
  }
}

function showFiles({ output, io, json }: Context, node: AivNode, directory: string): FileReceiver {
  let toldAt = -Infinity
  // one bar at a time is all that a terminal has room for: further transfers show their end only
  let shown: { readonly key: string; readonly progress: Progress } | undefined
  const hide = (key: string): void => {
    if (shown?.key !== key) return
    shown.progress.stop()
    shown = undefined
  }
  return receiveFiles(node, {
    directory,
    onProgress: ({ from, name, size, received, pieceBytes, transport }) => {
      const key = `${from}/${name}`
      if (pieceBytes === 0) {
        output.event({ type: 'file-started', from, name, size, resumedFrom: received })
        shown ??= { key, progress: startProgress(io, json, printable(name, 40), size) }
      } else if (received === size || performance.now() - toldAt >= PROGRESS_EVERY_MS) {
        toldAt = performance.now()
        output.event({ type: 'file-progress', from, name, size, received, transport })
      }
      if (shown?.key === key) shown.progress.update(received)
    },
    onFile: ({ from, name, path, size, sha256, elapsedMs, resumedFrom }) => {
      hide(`${from}/${name}`)
      const took = `${formatDuration(elapsedMs)} (${formatRate(size - resumedFrom, elapsedMs)})`
      output.result(`file from ${from}: ${path}, ${formatBytes(size)} in ${took}, SHA-256 ${toHex(sha256)}`, {
        type: 'file',
        from,
        name,
        path,
        size,
        sha256: toHex(sha256),
        elapsedMs,
        resumedFrom,
      })
    },
    onError: ({ from, name, error }) => {
      hide(`${from}/${name}`)
      output.result(`file from ${from}: ${name} did not arrive, ${error.code}`, {
        type: 'file-failed',
        from,
        name,
        code: error.code,
      })
    },
  })
}
