export { PriorityQueues, type QueueItem, type PushResult } from './priority-queues.js'
export { EmergencyLimit } from './emergency-limit.js'
export { TokenBucket } from './token-bucket.js'
export {
  type PriorityQueuesOptions,
  type EmergencyLimitOptions,
  defaultPriorityQueuesOptions,
  defaultEmergencyLimitOptions,
  verifyPriorityQueuesOptions,
  verifyEmergencyLimitOptions,
} from './options.js'
