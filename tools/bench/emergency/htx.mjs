// One HTX connection over TCP: emergency messages before all others.
import { emergencyAdapter } from '../emergency-adapter.mjs'

export const { server, client } = emergencyAdapter({ urgent: 0, bulk: 2 })
