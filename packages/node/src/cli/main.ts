import { describeError } from './describe-error.js'
import { processIo } from './io.js'
import { run } from './run.js'

/** After the command is done: how long open handles may keep the process, in ms. */
const LINGER_MS = 2000

/** The `aiv` program. @param argv - `process.argv` */
export async function main(argv: readonly string[]): Promise<void> {
  const io = processIo()
  // whoever reads us went away: `aiv up | head -1`
  process.stdout.on('error', () => process.exit(1))
  process.stderr.on('error', () => undefined)
  process.on('uncaughtException', (error) => {
    const { message } = describeError(error)
    process.stderr.write(`error INTERNAL: ${message} (hint: this is a bug; please report it)\n${error.stack ?? ''}\n`)
    process.exit(1)
  })
  // a second Ctrl-C does not wait for an orderly end
  let stops = 0
  io.onStop(() => {
    if (++stops > 1) process.exit(1)
  })
  process.exitCode = await run(argv.slice(2), io)
  setTimeout(() => {
    if (argv.includes('--verbose')) {
      process.stderr.write(`still open: ${process.getActiveResourcesInfo().join(' ')}\n`)
    }
    process.exit()
  }, LINGER_MS).unref()
}
