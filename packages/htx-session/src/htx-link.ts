/**
 * One ordered, reliable flow of bytes in each direction, as a shell supplies it: a TCP socket, or the binary messages of
 * a WebSocket. It carries whole runs of HTX frames and knows nothing about them.
 */
export interface HtxLink {
  /**
   * Our end and the other one as URLs without a node id (`htx://192.0.2.7:8888`); `undefined` where the platform does
   * not say. The host of `remote` is what limits per source count by.
   */
  readonly local: string | undefined
  readonly remote: string | undefined
  /** Once, at once after the link was handed over; nothing is read before it. */
  attach(handler: HtxLinkHandler): void
  /**
   * Takes all `pieces`, one after another; they belong to the link from here on. False: taken, but wait for
   * {@link HtxLinkHandler.onWritable} before the next call.
   */
  write(pieces: readonly Uint8Array[]): boolean
  /** Nothing more is read from the platform until {@link resume}; one run may still be given out. */
  pause(): void
  resume(): void
  /** Sends what was written, then closes. */
  end(): void
  /** Closes now; what was not sent yet is dropped. */
  destroy(): void
}

/** Called synchronously by a link; may call any method of the link. */
export interface HtxLinkHandler {
  /** A view that stays valid and belongs to the handler. */
  onInput(bytes: Uint8Array): void
  /** There is room again; only after {@link HtxLink.write} gave false. */
  onWritable(): void
  /** The last call: nothing comes or goes any more. `error`: what the platform said, when it was no orderly end. */
  onClosed(error?: Error): void
}
