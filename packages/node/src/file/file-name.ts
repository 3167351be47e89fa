/** Longest name that is made, in bytes of UTF-8: leaves room for ` (99)` below the usual limit of 255. */
const MAX_SAFE_NAME_BYTES = 200

/** Names that Windows gives to devices, with any extension. */
const reserved = /^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)/i

/** Windows drops them from the end of a name, so that another file would be opened than was checked. */
const trailing = /[.\s]+$/

/**
 * A name that is safe to create in a folder: the last part of whatever the sender calls its file, without separators
 * of any platform, control and formatting characters, leading dots (hidden files, `..`), and trailing dots and spaces.
 * Never empty.
 */
export function safeFileName(name: string): string {
  const last = name.normalize('NFC').split(/[/\\]/).at(-1) ?? ''
  let safe = last
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}<>:"|?*]/gu, '_')
    .replace(/^[.\s]+/, '')
    .replace(trailing, '')
  if (reserved.test(safe)) safe = `_${safe}`
  const encoder = new TextEncoder()
  if (encoder.encode(safe).length > MAX_SAFE_NAME_BYTES) {
    const { stem, extension } = splitName(safe)
    const kept = encoder.encode(extension).length <= 20 ? extension : ''
    let short = ''
    let length = encoder.encode(kept).length
    for (const character of stem) {
      length += encoder.encode(character).length
      if (length > MAX_SAFE_NAME_BYTES) break
      short += character
    }
    safe = short.replace(trailing, '') + kept
  }
  return safe === '' ? 'unnamed' : safe
}

/** The name itself for 0, else `report (1).pdf`, `report (2).pdf`, … */
export function numberedName(name: string, number: number): string {
  if (number === 0) return name
  const { stem, extension } = splitName(name)
  return `${stem} (${number})${extension}`
}

function splitName(name: string): { stem: string; extension: string } {
  const dot = name.lastIndexOf('.')
  return dot <= 0 ? { stem: name, extension: '' } : { stem: name.slice(0, dot), extension: name.slice(dot) }
}
