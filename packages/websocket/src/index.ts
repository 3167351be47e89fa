export { webSocket } from './web-socket.node.js'
export { type WebSocketOptions, DEFAULT_PORT } from './options.node.js'
