/**
 * Zero in the engine's floating-point form, for fields that hold a time or a rate later. A field that begins as the
 * integer 0 changes the layout of its object with the first fraction, and all code that was compiled for the old layout
 * is thrown away: on a young connection that costs more than what the code does. Never for a figure that is shown.
 */
export const DOUBLE_ZERO = -0
