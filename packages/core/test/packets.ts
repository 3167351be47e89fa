import { encodeHello, encodeLinkEnvelopeHeader, MessageKind } from '@aiv/routing'
import { joinBytes, Priority, type PerPriority } from '@aiv/transport-api'

/** Packets as a peer makes them that is no node of ours. */
export function helloPacket(epoch: string, firstCounters?: PerPriority<number>): Uint8Array {
  return encodeHello({
    version: 1,
    capabilities: 0,
    deviceType: undefined,
    record: undefined,
    observedAddress: undefined,
    epoch,
    firstCounters,
    heard: true,
  })
}

/** A message of normal priority for the protocol `chat/1`. */
export function messagePacket(counter: number, text: string): Uint8Array {
  const header = encodeLinkEnvelopeHeader({
    priority: Priority.Normal,
    compressed: false,
    ordered: true,
    acknowledge: true,
    kind: MessageKind.Message,
    counter,
    lifetimeS: 30,
    protocol: 'chat/1',
    requestId: undefined,
  })
  return joinBytes([header, new TextEncoder().encode(text)])
}
