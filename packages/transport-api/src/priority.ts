/** Lower overtakes higher. */
export const Priority = { Emergency: 0, High: 1, Normal: 2, Low: 3 } as const
export type Priority = (typeof Priority)[keyof typeof Priority]

/** All priorities, the most urgent first. */
export const priorities: readonly Priority[] = [Priority.Emergency, Priority.High, Priority.Normal, Priority.Low]

/** One value for each priority, indexed by it. */
export type PerPriority<T> = readonly [T, T, T, T]

/**
 * How far a message is protected beyond the connection it travels on. `standard`: sealed end to end wherever somebody
 * else carries it. `private`: sealed per message, with forward secrecy and repair. `anonymous`: through an onion.
 */
export type PrivacyLevel = 'standard' | 'private' | 'anonymous'

/** What kind of machine a node runs on. */
export type DeviceType = 'mobile' | 'desktop' | 'server' | 'fog'
