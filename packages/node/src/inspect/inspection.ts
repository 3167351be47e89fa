/** One field of a byte string, as found. */
export interface InspectedField {
  /** Where in the whole byte string it begins. */
  readonly offset: number
  readonly length: number
  readonly name: string
  /** For people: a number, a hexadecimal string, a name, or text in quotes. */
  readonly value: string
  /** What it means, or what is wrong with it; may be empty. */
  readonly note: string
}

/** One thing in a byte string: a frame, a packet, a record. */
export interface InspectedPart {
  /** `HTX 1.1 frame`. */
  readonly title: string
  readonly offset: number
  readonly length: number
  readonly fields: readonly InspectedField[]
  /** Absent when it is valid. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** What a byte string is. Valid when no part has an error. */
export interface Inspection {
  readonly parts: readonly InspectedPart[]
}

/** The first error of all parts. */
export function inspectionError(inspection: Inspection): InspectedPart['error'] {
  return inspection.parts.find(({ error }) => error !== undefined)?.error
}
