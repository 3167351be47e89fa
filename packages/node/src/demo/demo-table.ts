import { formatBytes, formatDuration, formatRate } from '../cli/output.js'
import type { DemoRow } from './demo.js'

const names: Readonly<Record<string, string>> = {
  betanet: 'HTX/TCP',
  quic: 'QUIC',
  websocket: 'WebSocket',
  bitchat: 'BitChat/BLE',
}
const headings = ['from', 'to', 'what', 'transport', 'size', 'time', 'rate', 'failover gap', '']

/** The demo's table, as lines. */
export function demoTable(rows: readonly DemoRow[]): string[] {
  const cells = [headings, ...rows.map(rowCells)]
  const widths = headings.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  const lines = cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  const [head = '', ...body] = lines
  return [head, rule.trimEnd(), ...body]
}

function rowCells(row: DemoRow): string[] {
  const { from, to, what, transports, bytes, elapsedMs, failoverGapMs, problem } = row
  return [
    from,
    to,
    what,
    transports.map((name) => names[name] ?? name).join(', then '),
    formatBytes(bytes),
    formatDuration(elapsedMs),
    formatRate(bytes, elapsedMs),
    failoverGapMs === undefined ? '' : formatDuration(failoverGapMs),
    problem ?? 'ok',
  ]
}
