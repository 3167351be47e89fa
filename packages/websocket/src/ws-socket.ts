/** The subprotocol that both sides name in the WebSocket handshake. docs/wire/websocket.md */
export const SUBPROTOCOL = 'aiv.htx.v1'

/** Largest message taken, in bytes; a larger one closes with 1009. Senders stay below a third of it. */
export const MAX_MESSAGE_BYTES = 1_048_576

/** What one poll of a session may give, in bytes: it becomes one message. */
export const MAX_OUTPUT_BYTES = 262_144

/**
 * How much a socket holds before it asks to wait, in bytes: what stands here can no longer be overtaken by anything more
 * urgent.
 */
export const SOCKET_HIGH_WATER_MARK = 131_072

/** Close codes of RFC 6455 section 7.4.1 that we send. */
export const CloseCode = { Normal: 1000, Unsupported: 1003, TooLarge: 1009 } as const
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/** One open WebSocket, on whatever platform: the seam between {@link WsLink} and `ws` or a browser. */
export interface WsSocket {
  /** URLs of both ends, as far as the platform says. */
  readonly local: string | undefined
  readonly remote: string | undefined
  /** Once; nothing is given out before it. */
  attach(handler: WsSocketHandler): void
  /** One binary message. False: taken, but wait for {@link WsSocketHandler.onWritable}. */
  send(message: Uint8Array): boolean
  pause(): void
  resume(): void
  /** Sends what was taken, then begins the closing handshake. */
  close(code: CloseCode): void
  /** Cuts the connection. */
  terminate(): void
}

/** Called synchronously; may call any method of the socket. */
export interface WsSocketHandler {
  onBinary(message: Uint8Array): void
  /** A text message: nobody who speaks HTX sends one. */
  onText(): void
  onWritable(): void
  /** The last call. */
  onClosed(error?: Error): void
}
