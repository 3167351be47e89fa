// The same connection with one queue for everything: what priorities are worth.
import { emergencyAdapter } from '../emergency-adapter.mjs'

export const { server, client } = emergencyAdapter({ urgent: 2, bulk: 2 })
