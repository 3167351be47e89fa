export { webSocket, type WebSocketOptions } from './web-socket.browser.js'
export type { PlatformWebSocket, PlatformWebSocketConstructor } from './ws-socket.browser.js'
