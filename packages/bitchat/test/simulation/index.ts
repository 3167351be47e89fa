export { allRules, deliver, deliveryDefaults } from './delivery.js'
export { sendFragments } from './fragments-over-hops.js'
export { type DutyCycleResult, measureDutyCycle } from './duty-cycle-radio.js'
