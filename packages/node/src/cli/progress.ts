import cliProgress from 'cli-progress'
import { formatBytes } from './output.js'
import type { Io } from './io.js'

/** Shows how far something is. */
export interface Progress {
  update(done: number): void
  /** Ends the display; what is written afterwards begins on a line of its own. */
  stop(): void
}

/** A bar where the standard error is a terminal, else a line at every tenth. Nothing with `--json`. */
export function startProgress(io: Io, json: boolean, label: string, total: number): Progress {
  if (json || total === 0) return { update: () => undefined, stop: () => undefined }
  const { stream, isTty } = io.stderr
  return isTty && stream !== undefined ? bar(stream, label, total) : lines(io, label, total)
}

function bar(stream: NodeJS.WritableStream, label: string, total: number): Progress {
  const single = new cliProgress.SingleBar({
    stream,
    format: `${label} [{bar}] {percentage}% {done}/{all} {eta_formatted}`,
    hideCursor: true,
    clearOnComplete: false,
    stopOnComplete: false,
    fps: 10,
    // signals are the command's business: it ends the bar when it ends
    gracefulExit: false,
  })
  const payload = (done: number) => ({ done: formatBytes(done), all: formatBytes(total) })
  single.start(total, 0, payload(0))
  return {
    update: (done) => single.update(done, payload(done)),
    stop: () => single.stop(),
  }
}

function lines(io: Io, label: string, total: number): Progress {
  let shown = -1
  return {
    update: (done) => {
      const tenth = Math.floor((done / total) * 10)
      if (tenth <= shown) return
      shown = tenth
      io.stderr.write(`${label} ${tenth * 10}% ${formatBytes(done)} of ${formatBytes(total)}\n`)
    },
    stop: () => undefined,
  }
}
