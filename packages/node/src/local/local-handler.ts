import type { AivNode } from '@aiv/core'
import { isNodeId, toHex, type Priority } from '@aiv/transport-api'
import { sendFile } from '../file/send-file.js'
import type { LocalHandler } from './local-server.js'

/** Between two progress events of one file, in ms: a file of many pieces would flood whoever listens. */
const PROGRESS_EVERY_MS = 100

/** Does for local clients what they ask of a running node. */
export function localHandler(node: AivNode): LocalHandler {
  return async (request, { signal, tell }) => {
    switch (request.op) {
      case 'status':
        return {
          id: node.id,
          pid: process.pid,
          addresses: node.addresses,
          transports: node.transports.map(({ name, state }) => ({ name, state })),
          connections: node
            .connections()
            .map(({ peer, transport, direction, remoteAddress }) => ({ peer, transport, direction, remoteAddress })),
        }
      case 'send': {
        const { to, payload, protocol, wait, timeoutMs } = request
        const receipt = await node.send(to, new Uint8Array(Buffer.from(payload, 'base64')), {
          protocol,
          priority: request.priority as Priority,
          signal,
          ...(timeoutMs === undefined ? {} : { timeoutMs }),
        })
        const handed = { to: receipt.to, transport: receipt.transport, reason: receipt.reason }
        return wait ? { ...handed, delivered: await receipt.delivered } : handed
      }
      case 'send-file': {
        let toldAt = -Infinity
        const file = await sendFile(node, request.to, request.path, {
          signal,
          ...(request.priority === undefined ? {} : { priority: request.priority as Priority }),
          onProgress: (progress) => {
            const now = performance.now()
            if (now - toldAt < PROGRESS_EVERY_MS && progress.done < progress.size) return
            toldAt = now
            tell(progress)
          },
        })
        return { ...file, sha256: toHex(file.sha256), to: isNodeId(request.to) ? request.to : undefined }
      }
    }
  }
}
