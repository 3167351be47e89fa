import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { CommandError } from '../errors.js'
import { inspectionKinds } from '../inspect/inspect.js'
import {
  collectNodeIds,
  parseBleAdapters,
  parseDeviceType,
  parseMebibytes,
  parseNoiseKey,
  parsePort,
  parsePriority,
  parseRecipient,
  parseSeconds,
} from './arguments.js'
import { packageFolder } from '../package-folder.js'
import { makeContext, type Context, type GlobalOptions } from './context.js'
import { demo, demoNodeCommand, type DemoCommandOptions } from './demo-command.js'
import { id, init } from './identity-commands.js'
import { inspect, type InspectCommandOptions } from './inspect-command.js'
import type { Io } from './io.js'
import { Output } from './output.js'
import { send, type SendCommandOptions } from './send-command.js'
import { status } from './status-command.js'
import { up, type UpOptions } from './up-command.js'

/**
 * Runs one command and resolves to its exit code: 0 done, 1 failed, 2 wrong usage. Never rejects.
 * @param args - without the program and its script
 */
export async function run(args: readonly string[], io: Io): Promise<0 | 1 | 2> {
  let context: Context | undefined
  const program = build(io, (options) => (context = makeContext(io, options)))
  try {
    await program.parseAsync([...args], { from: 'user' })
    return 0
  } catch (error) {
    const output = context?.output ?? new Output(io, args.includes('--json'), false)
    if (!(error instanceof CommanderError)) return output.error(error).exitCode
    if (error.exitCode === 0) return 0 // help or the version was asked for
    const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')
    const asked = error.code === 'commander.help' ? 'which command?' : message
    return output.error(new CommandError('USAGE', asked, { hint: 'aiv --help' })).exitCode
  }
}

function build(io: Io, open: (options: GlobalOptions) => Context): Command {
  const program = new Command('aiv')
    .description('Messages and files between nodes that are named by their keys')
    .version(version(), '-V, --version', 'print the version')
    .option('--json', 'one JSON object a line instead of text')
    .option('--data-dir <folder>', 'where the node keeps its key (default: by the system, or AIV_HOME)')
    .option('--verbose', 'say more, on the standard error')
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // usage errors are told once, by run()
      writeErr: () => undefined,
    })
  /** Runs `work` with the context that the options of the whole program give. */
  const action =
    <Args extends unknown[]>(work: (context: Context, ...args: Args) => Promise<void>) =>
    async (...args: unknown[]): Promise<void> => {
      const command = args.at(-1) as Command
      // commander hands over: the arguments, the options, the command
      await work(open(command.optsWithGlobals<GlobalOptions>()), ...(args.slice(0, -1) as Args))
    }
  const passphrase = () => new Option('--passphrase-file <file>', 'its first line protects the key')

  program
    .command('init')
    .description('make the key of this node')
    .addOption(passphrase())
    .action(action((context, options: { passphraseFile?: string }) => init(context, options)))

  program
    .command('id')
    .description('print the id of this node')
    .addOption(passphrase())
    .action(action((context, options: { passphraseFile?: string }) => id(context, options)))

  program
    .command('up')
    .description('run a node: print its addresses, and then what arrives, until Ctrl-C')
    .option('--port <port>', 'TCP port of HTX; 0 takes a free one (default: 8888)', checked(parsePort))
    .option('--ws-port <port>', 'TCP port of WebSocket; 0 takes a free one (default: 8889)', checked(parsePort))
    .option('--quic', 'with QUIC too, before the others where both sides have it')
    .option(
      '--quic-port <port>',
      'UDP port of QUIC; 0 takes a free one (default: 8890); implies --quic',
      checked(parsePort),
    )
    .option('--no-htx', 'without HTX over TCP')
    .option('--no-websocket', 'without WebSocket')
    .option('--ble', 'with BitChat, the mesh over Bluetooth LE')
    .option(
      '--ble-adapter <n,n>',
      'Linux: which hciN scans and which advertises; one number: both, experimental (default: the first two)',
      checked(parseBleAdapters),
    )
    .option('--host <host>', 'listen on this address only (default: on all)')
    .option('--device <type>', 'mobile, desktop, server or fog', checked(parseDeviceType), 'desktop')
    .option('--ephemeral', 'with a key that is kept nowhere, and on free ports')
    .option('--receive-dir <folder>', 'where files are put (default: in the data folder; ephemeral: a temporary one)')
    .option('--no-receive', 'take no files')
    .option('--allow <id>', 'take connections from this node only; may be repeated', collectNodeIds)
    .addOption(passphrase())
    .action(action((context, options: UpOptions) => up(context, options)))

  program
    .command('send')
    .description('send a text or a file to a node')
    .argument(
      '<to>',
      'an address, htx://id@host:port or ble://id, or a node id that a running node knows',
      checked(parseRecipient),
    )
    .argument('[text]', 'what to send (default: the standard input)')
    .option('--file <file>', 'send this file')
    .option('--priority <priority>', 'emergency, high, normal or low', checked(parsePriority))
    .option('--protocol <name>', 'application protocol that the message is for', '')
    .option('--wait', 'until the recipient has acknowledged it; files are always waited for')
    .option('--timeout <seconds>', 'give up after this time, at most 300', checked(parseSeconds))
    .option('--ephemeral', 'by an identity made for this command, even when a node runs')
    .action(
      action((context, to: string, text: string | undefined, options: SendCommandOptions) =>
        send(context, to, text, options),
      ),
    )

  program
    .command('status')
    .description('print what the running node is doing')
    .action(action((context) => status(context)))

  program
    .command('inspect')
    .description('say what a byte string is, field by field, valid or not, and why not')
    .argument('[text]', 'hexadecimal, a node id or an address (default: the standard input, as text or raw bytes)')
    .addOption(new Option('--as <kind>', 'take it as this').choices([...inspectionKinds]))
    .option('--noise-key <hex>', 'the X25519 key that a certificate is for', checked(parseNoiseKey))
    .action(
      action((context, text: string | undefined, options: InspectCommandOptions) => inspect(context, text, options)),
    )

  program
    .command('demo')
    .description('three nodes, messages, a file, and a transport that dies in the middle of it')
    .option('--file <file>', 'send this file instead of a generated one')
    .option('--size <MiB>', 'size of the generated file (default: 64)', checked(parseMebibytes))
    .option('--once', 'end afterwards: with 0 when all is as it should be, else with 1')
    .action(action((context, options: DemoCommandOptions) => demo(context, options)))

  program.command('demo-node', { hidden: true }).action(action((context) => demoNodeCommand(context)))

  return program
}

/** Commander hands a second argument to parsers, the value before; ours take one. */
function checked<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text)
    } catch (error) {
      if (error instanceof InvalidArgumentError) throw error
      throw new InvalidArgumentError(error instanceof Error ? error.message : String(error))
    }
  }
}

function version(): string {
  const text = readFileSync(new URL('package.json', packageFolder), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
