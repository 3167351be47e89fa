export { VirtualAir, type VirtualAirOptions } from './virtual-air.js'
export { VirtualController, type ControllerListener } from './virtual-controller.js'
export { HciFault, type HciFaultCode } from './hci-fault.js'
export {
  installVirtualDriver,
  VIRTUAL_DRIVER,
  type HciTransport,
  type VirtualBindParams,
} from './virtual-driver.node.js'
export { VirtualAirServer, type VirtualAirServerOptions } from './socket-server.node.js'
export { SocketController } from './socket-controller.node.js'
