import type { Priority } from '@aiv/transport-api'

const names: readonly string[] = ['emergency', 'high', 'normal', 'low']

/** The name of a priority, as it is typed and shown. */
export function priorityName(priority: number): string {
  return names[priority] ?? String(priority)
}

/** The inverse; `undefined` for a name of none. */
export function priorityNamed(name: string): Priority | undefined {
  const index = names.indexOf(name.toLowerCase())
  return index < 0 ? undefined : (index as Priority)
}

/** All names, the most urgent first. */
export const priorityNames = names
