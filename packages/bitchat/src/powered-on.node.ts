import type { EventEmitter } from 'node:events'
import type { Clock } from '@aiv/transport-api'
import { noAdapter } from './ble-stacks.node.js'
import { bounded } from './bounded.js'

/** States from which a stack comes to no other by itself. */
const FINAL = ['unsupported', 'unauthorized', 'poweredOff']

/** Resolves when a stack says `poweredOn`; rejects with a BleError NO_ADAPTER, or the signal's reason. */
export async function awaitPoweredOn(
  stack: EventEmitter & { readonly state: string },
  options: { readonly clock: Clock; readonly timeoutMs: number; readonly signal: AbortSignal | undefined },
): Promise<void> {
  let onState: (state: string) => void = () => undefined
  const state = new Promise<void>((resolve, reject) => {
    onState = (state) => {
      if (state === 'poweredOn') resolve()
      else if (FINAL.includes(state)) reject(noAdapter(state))
    }
    // for bleno, listening is what opens the socket
    stack.on('stateChange', onState)
    onState(stack.state)
  })
  try {
    await bounded(state, { ...options, late: () => noAdapter(stack.state) })
  } finally {
    stack.removeListener('stateChange', onState)
  }
}
