/** Codes from here on belong to applications; a close with one of them is an orderly end. */
const FIRST_APPLICATION_CODE = 0x1000

/** The application error code for each of ours; the table of docs/wire/quic.md. Numbers are never used again. */
const numbers: Readonly<Record<string, number>> = {
  CLOSED: 0x0000,
  ABORTED: 0x0001,
  NOT_ADMITTED: 0x0002,
  STALLED: 0x0003,
  MALFORMED: 0x0101,
  MESSAGE_TOO_LARGE: 0x0102,
  REASSEMBLY_BUSY: 0x0103,
  EARLY_REFUSED: 0x0201,
  CERTIFICATE_INVALID: 0x0301,
  IDENTITY_MISMATCH: 0x0302,
  IDENTITY_OWN: 0x0303,
}

const names: ReadonlyMap<number, string> = /* #__PURE__ */ new Map(
  Object.entries(numbers).map(([name, number]) => [number, name]),
)

/** What a close carries for one of our codes; ABORTED for one that has no number. */
export function closeNumber(code: string): number {
  return numbers[code] ?? 0x0001
}

/** What an application close of the other side means; REMOTE_ERROR for a number that nobody defined. */
export function closeName(number: number): string {
  if (number >= FIRST_APPLICATION_CODE) return 'CLOSED'
  return names.get(number) ?? 'REMOTE_ERROR'
}
