// What is done to the link while a transfer runs. A rate is set where the fault has to come in the middle.

/** From the fault to the next message: over a connection that stands, and over one that has to be dialled. */
const STANDING_GAP_MS = 500
const DIALLED_GAP_MS = 2_000

/** @type {readonly import('./transfer.mjs').Scenario[]} */
export const scenarios = [
  { name: 'nothing wrong', mebibytes: 32, link: {} },
  { name: 'delay 25 ms, jitter 10 ms', mebibytes: 16, link: { delayMs: 25, jitterMs: 10 } },
  { name: 'loss 1 %', mebibytes: 16, link: { delayMs: 5, lossPercent: 1 } },
  { name: 'loss 5 %', mebibytes: 8, link: { delayMs: 2, lossPercent: 5 } },
  { name: 'reordering and duplicates', mebibytes: 16, link: { delayMs: 5, reorderPercent: 5, duplicatePercent: 2 } },
  {
    name: 'partition of 3 s',
    mebibytes: 16,
    link: { rateMbit: 60 },
    async fault(network, { sleep }) {
      network.cut()
      await sleep(3_000)
      network.heal()
    },
    minGapMs: 2_900,
    maxGapMs: 10_000,
  },
  {
    name: 'HTX cut, WebSocket stands',
    mebibytes: 16,
    link: { rateMbit: 60 },
    standing: true,
    fault: (network, { htxPort }) => network.cut(htxPort),
    endsOn: 'websocket',
    maxGapMs: STANDING_GAP_MS,
  },
  {
    name: 'HTX cut, WebSocket is dialled',
    mebibytes: 16,
    link: { rateMbit: 60 },
    fault: (network, { htxPort }) => network.cut(htxPort),
    endsOn: 'websocket',
    maxGapMs: DIALLED_GAP_MS,
  },
  {
    name: 'HTX cut at 40 ms, WebSocket is dialled',
    mebibytes: 16,
    link: { rateMbit: 60, delayMs: 20 },
    fault: (network, { htxPort }) => network.cut(htxPort),
    endsOn: 'websocket',
    maxGapMs: DIALLED_GAP_MS,
  },
  {
    name: 'link down for 1 s',
    mebibytes: 16,
    link: { rateMbit: 60 },
    async fault(network, { sleep }) {
      network.linkDown('b')
      await sleep(1_000)
      network.linkUp('b')
    },
    minGapMs: 900,
    maxGapMs: 8_000,
  },
  {
    name: 'receiver gets another address',
    mebibytes: 16,
    link: { rateMbit: 60 },
    otherAddresses: ['10.77.0.3'],
    fault: (network) => network.changeAddress('b', '10.77.0.3'),
    maxGapMs: 8_000,
  },
  {
    name: 'sender gets another address',
    mebibytes: 16,
    link: { rateMbit: 60 },
    fault: (network) => network.changeAddress('a', '10.77.0.4'),
    maxGapMs: 8_000,
  },
]

/** What is wrong with what arrived, or with the fault: one that did nothing proves nothing. Nothing: an empty list. */
export function faults(scenario, result) {
  const { failures, lost, outOfPlace, intact, silenceMs, transports, frames } = result
  const { link, minGapMs = 0, endsOn } = scenario
  const undelivered = Object.entries(failures).map(([code, count]) => `${count} ${code}`)
  return [
    undelivered.length > 0 && `not delivered: ${undelivered.join(', ')}`,
    lost > 0 && `${lost} messages missing`,
    lost < 0 && `${-lost} messages too many`,
    outOfPlace > 0 && `${outOfPlace} messages out of place`,
    !intact && 'other bytes than those sent',
    silenceMs < minGapMs && `silent for ${Math.round(silenceMs)} ms only: the fault came to nothing`,
    endsOn !== undefined && !(transports[endsOn] > 0) && `nothing came over ${endsOn}`,
    link.lossPercent > 0 && !(frames?.lost > 0) && 'no frame was lost',
    link.duplicatePercent > 0 && !(frames?.duplicated > 0) && 'no frame came twice',
    link.reorderPercent > 0 && !(frames?.overtaken > 0) && 'no frame overtook another',
  ].filter((line) => line !== false)
}

/** In words, when nothing arrived for longer than the scenario allows. */
export function tooSilent({ maxGapMs }, { silenceMs }) {
  if (maxGapMs === undefined || silenceMs <= maxGapMs) return undefined
  return `silent for ${Math.round(silenceMs)} ms, at most ${maxGapMs} allowed`
}
