import { ArgumentError } from '@aiv/transport-api'

/** One step of a handshake message, Noise specification revision 34 sections 7.1 and 9. */
export type NoiseToken = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss' | 'psk'

/** A handshake pattern: what each side knows beforehand, and the tokens of each message in turn, the initiator's first. */
export interface NoisePattern {
  readonly name: string
  /** The responder knows the initiator's static key beforehand. */
  readonly initiatorKnown: boolean
  /** The initiator knows the responder's static key beforehand. */
  readonly responderKnown: boolean
  readonly messages: readonly (readonly NoiseToken[])[]
  /** How many pre-shared keys it mixes in. */
  readonly psks: number
}

/**
 * The one-way patterns of section 7.4, the interactive ones of 7.5 and the deferred ones of 7.6, written as there:
 * pre-messages before the bar (`>` of the initiator, `<` of the responder), then the messages in turn.
 */
const written: Readonly<Record<string, string>> = {
  N: '< | e es',
  K: '>< | e es ss',
  X: '< | e es s ss',
  NN: ' | e / e ee',
  NK: '< | e es / e ee',
  NX: ' | e / e ee s es',
  XN: ' | e / e ee / s se',
  XK: '< | e es / e ee / s se',
  XX: ' | e / e ee s es / s se',
  KN: '> | e / e ee se',
  KK: '>< | e es ss / e ee se',
  KX: '> | e / e ee se s es',
  IN: ' | e s / e ee se',
  IK: '< | e es s ss / e ee se',
  IX: ' | e s / e ee se s es',
  NK1: '< | e / e ee es',
  NX1: ' | e / e ee s / es',
  X1N: ' | e / e ee / s / se',
  X1K: '< | e es / e ee / s / se',
  XK1: '< | e / e ee es / s se',
  X1K1: '< | e / e ee es / s / se',
  X1X: ' | e / e ee s es / s / se',
  XX1: ' | e / e ee s / es s se',
  X1X1: ' | e / e ee s / es s / se',
  K1N: '> | e / e ee / se',
  K1K: '>< | e es / e ee / se',
  KK1: '>< | e / e ee se es',
  K1K1: '>< | e / e ee es / se',
  K1X: '> | e / e ee s es / se',
  KX1: '> | e / e ee se s / es',
  K1X1: '> | e / e ee s / se es',
  I1N: ' | e s / e ee / se',
  I1K: '< | e es s / e ee / se',
  IK1: '< | e s / e ee se es',
  I1K1: '< | e s / e ee es / se',
  I1X: ' | e s / e ee s es / se',
  IX1: ' | e s / e ee se s / es',
  I1X1: ' | e s / e ee s / se es',
}

const parsed = new Map<string, NoisePattern>(Object.entries(written).map(([name, text]) => [name, parse(name, text)]))

/** `XXpsk3`, `NNpsk0+psk2`: section 8.1. */
const modified = /^([A-Z][A-Z1]*)(psk[0-9](?:\+psk[0-9])*)$/

/** @throws ArgumentError for a name that is no pattern of the specification, with or without `psk` modifiers. */
export function noisePattern(name: string): NoisePattern {
  const known = parsed.get(name)
  if (known !== undefined) return known
  const [, base = '', modifiers = ''] = (name.length <= 32 ? modified.exec(name) : undefined) ?? []
  const pattern = parsed.get(base)
  if (pattern === undefined) throw unknown(name)
  const withKeys = Object.freeze({ ...pattern, name, ...addPsks(name, pattern, modifiers) })
  // only names that exist get here: no more than the modifiers that fit
  parsed.set(name, withKeys)
  return withKeys
}

/** Section 9.3: psk0 begins the first message, psk1 ends it, psk2 ends the second one, and so on. */
function addPsks(name: string, pattern: NoisePattern, modifiers: string): Pick<NoisePattern, 'messages' | 'psks'> {
  const messages = pattern.messages.map((tokens) => [...tokens])
  const places = modifiers.split('+').map((modifier) => Number(modifier.slice(-1)))
  if (new Set(places).size < places.length) throw unknown(name)
  for (const place of places) {
    const message = messages[Math.max(place - 1, 0)]
    if (message === undefined) throw unknown(name)
    if (place === 0) message.unshift('psk')
    else message.push('psk')
  }
  return { messages, psks: places.length }
}

function unknown(name: string): ArgumentError {
  return new ArgumentError(`"${name.slice(0, 32)}" is no Noise pattern known here`)
}

function parse(name: string, text: string): NoisePattern {
  const [known = '', messages = ''] = text.split('|')
  return Object.freeze({
    name,
    initiatorKnown: known.includes('>'),
    responderKnown: known.includes('<'),
    messages: messages.split('/').map((message) => message.trim().split(' ') as NoiseToken[]),
    psks: 0,
  })
}
