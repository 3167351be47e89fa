import { CommandError } from '../errors.js'
import { LocalClient } from '../local/local-client.js'
import { localSocketPath } from '../local/socket-path.js'
import type { Context } from './context.js'

interface Status {
  readonly id: string
  readonly pid: number
  readonly addresses: readonly string[]
  readonly connections: readonly { readonly peer: string; readonly transport: string; readonly direction: string }[]
}

/** `aiv status`: what the running node is doing. */
export async function status({ output, folder }: Context): Promise<void> {
  const client = await LocalClient.open(localSocketPath(folder))
  if (client === undefined) {
    throw new CommandError('LOCAL_SOCKET', `no node runs in ${folder.path}`, { hint: 'start one with aiv up' })
  }
  try {
    const answer = (await client.ask({ op: 'status' })) as Status
    const { id, pid, addresses, connections } = answer
    output.result(
      [
        `node ${id}, process ${pid}`,
        ...addresses,
        ...connections.map(({ peer, transport, direction }) => `${direction} ${peer} over ${transport}`),
      ],
      { type: 'status', ...answer },
    )
  } finally {
    await client.close()
  }
}
