export { PriorityQueues, type QueueItem, type PushResult } from './priority-queues.js'
export { EmergencyLimit } from './emergency-limit.js'
export { TokenBucket } from './token-bucket.js'
export {
  type QueueOptions,
  type EmergencyLimitOptions,
  defaultQueueOptions,
  defaultEmergencyLimitOptions,
  verifyQueueOptions,
  verifyEmergencyLimitOptions,
} from './options.js'
