import { ArgumentError } from '@aiv/transport-api'

/** One step of a handshake message, Noise specification revision 34 section 7.1. */
export type NoiseToken = 'e' | 's' | 'ee' | 'es' | 'se' | 'ss'

/** A handshake pattern: what each side knows beforehand, and the tokens of each message in turn, the initiator's first. */
export interface NoisePattern {
  readonly name: string
  /** The responder knows the initiator's static key beforehand. */
  readonly initiatorKnown: boolean
  /** The initiator knows the responder's static key beforehand. */
  readonly responderKnown: boolean
  readonly messages: readonly (readonly NoiseToken[])[]
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

/** @throws ArgumentError for a name that is no pattern of the specification, or one with a `psk` modifier. */
export function noisePattern(name: string): NoisePattern {
  const pattern = parsed.get(name)
  if (pattern === undefined) throw new ArgumentError(`"${name.slice(0, 32)}" is no Noise pattern known here`)
  return pattern
}

function parse(name: string, text: string): NoisePattern {
  const [known = '', messages = ''] = text.split('|')
  return Object.freeze({
    name,
    initiatorKnown: known.includes('>'),
    responderKnown: known.includes('<'),
    messages: messages.split('/').map((message) => message.trim().split(' ') as NoiseToken[]),
  })
}
