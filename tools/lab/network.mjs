// Two hosts, a and b, as network namespaces of this machine, with one link between them that can be made bad. Needs
// Linux, root, iproute2 and nftables, and for delay, jitter, loss, duplicates and reordering /dev/net/tun and Python 3.
// Nothing leaves the two namespaces: they have no way to anywhere else.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const relay = fileURLToPath(new URL('relay.py', import.meta.url))
const PREFIX = 'aiv-lab-'
let made = 0

/** Networks that are not closed yet: they go with the process, however it ends. */
const open = new Set()
let watching = false

/** Why there can be no network here, or `undefined`. */
export function whyNot() {
  if (process.platform !== 'linux') return 'network namespaces are a thing of Linux'
  if (process.getuid?.() !== 0) return 'making network namespaces takes root'
  for (const [program, packageName] of Object.entries({ ip: 'iproute2', tc: 'iproute2', nft: 'nftables' })) {
    if (!onPath(program)) return `${program} is missing: install ${packageName}`
  }
  if (!existsSync(PYTHON)) return `${PYTHON} is missing: install python3`
  if (!existsSync('/dev/net/tun')) return '/dev/net/tun is missing'
  return undefined
}

/** Debian's, which is there whatever versions a person has on the PATH. */
const PYTHON = '/usr/bin/python3'

/**
 * @typedef {object} Link
 * @property {number} [rateMbit] - of each direction, by a token bucket with `queueMs` of queue (50)
 * @property {number} [queueMs]
 * @property {number} [delayMs] - each way
 * @property {number} [jitterMs]
 * @property {number} [lossPercent]
 * @property {number} [duplicatePercent]
 * @property {number} [reorderPercent]
 * @property {number} [seed]
 */

export class Network {
  /** Addresses by host; `changeAddress` gives a host another one. */
  addresses = { a: '10.77.0.1', b: '10.77.0.2' }
  #names
  #devices
  #children = new Set()
  #relay
  #relaySaid = ''

  /** @param {Link} link */
  static async open(link = {}) {
    const reason = whyNot()
    if (reason !== undefined) throw new Error(reason)
    removeLeftovers()
    watch()
    const network = new Network()
    open.add(network)
    try {
      await network.#build(link)
    } catch (error) {
      await network.close()
      throw error
    }
    return network
  }

  constructor() {
    const number = made++
    this.#names = { a: `${PREFIX}${process.pid}-${number}a`, b: `${PREFIX}${process.pid}-${number}b` }
    // at most 15 letters, and a process id has up to 7
    this.#devices = { a: `lab${process.pid}${number}a`, b: `lab${process.pid}${number}b` }
  }

  async #build(link) {
    const { a, b } = this.#names
    for (const name of [a, b]) ip('netns', 'add', name)
    const bad = ['delayMs', 'jitterMs', 'lossPercent', 'duplicatePercent', 'reorderPercent'].some(
      (key) => link[key] > 0,
    )
    if (bad) {
      await this.#startRelay(link)
      for (const host of ['a', 'b']) ip('link', 'set', this.#devices[host], 'netns', this.#names[host])
    } else {
      const peer = ['peer', 'name', this.#devices.b, 'netns', b]
      ip('link', 'add', this.#devices.a, 'netns', a, 'type', 'veth', ...peer)
    }
    for (const host of ['a', 'b']) {
      this.ip(host, 'link', 'set', 'lo', 'up')
      this.ip(host, 'addr', 'add', `${this.addresses[host]}/24`, 'dev', this.#devices[host])
      this.ip(host, 'link', 'set', this.#devices[host], 'up')
      if (link.rateMbit !== undefined) {
        const shape = ['rate', `${link.rateMbit}mbit`, 'burst', '16kb', 'latency', `${link.queueMs ?? 50}ms`]
        execFileSync('tc', [
          '-n',
          this.#names[host],
          'qdisc',
          'add',
          'dev',
          this.#devices[host],
          'root',
          'tbf',
          ...shape,
        ])
      }
    }
  }

  #startRelay(link) {
    const child = spawn(PYTHON, [relay, this.#devices.a, this.#devices.b, JSON.stringify(link)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#relay = child
    child.stdin.on('error', () => undefined) // it ended first
    child.stdout.setEncoding('utf8').on('data', (text) => (this.#relaySaid += text))
    return new Promise((resolve, reject) => {
      child.stdout.once('data', () => resolve())
      child.once('exit', (status) => reject(new Error(`the relay ended with ${status}`)))
      child.once('error', reject)
    })
  }

  /** Runs `ip` for one host. */
  ip(host, ...args) {
    ip('-n', this.#names[host], ...args)
  }

  /**
   * Starts a Node script on a host, with a channel for messages.
   * @returns the child process; it is ended when the network closes.
   */
  fork(host, script, args = []) {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(NODE_|npm_|NX_)/.test(name)))
    const child = spawn('ip', ['netns', 'exec', this.#names[host], process.execPath, script, ...args], {
      env,
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    return child
  }

  /** Drops at host b what comes from or goes to one TCP port, or everything; until {@link heal}. */
  cut(port) {
    const matches = port === undefined ? [''] : [`tcp dport ${port} `, `tcp sport ${port} `]
    const drops = matches.map((match) => `${match}drop;`).join(' ')
    const chain = (hook, loopback) =>
      `chain ${hook} { type filter hook ${hook} priority 0; policy accept; ${loopback} "lo" accept; ${drops} }`
    this.nft(`table inet cut {\n${chain('input', 'iifname')}\n${chain('output', 'oifname')}\n}`)
  }

  heal() {
    this.nft('delete table inet cut')
  }

  nft(text) {
    execFileSync('ip', ['netns', 'exec', this.#names.b, 'nft', '-f', '-'], {
      input: text,
      stdio: ['pipe', 'ignore', 'pipe'],
    })
  }

  linkDown(host) {
    this.ip(host, 'link', 'set', this.#devices[host], 'down')
  }

  linkUp(host) {
    this.ip(host, 'link', 'set', this.#devices[host], 'up')
  }

  /** The host gets another address, and loses the one it had. */
  changeAddress(host, address) {
    // the old one first: a second address of a network goes with the first
    this.ip(host, 'addr', 'del', `${this.addresses[host]}/24`, 'dev', this.#devices[host])
    this.ip(host, 'addr', 'add', `${address}/24`, 'dev', this.#devices[host])
    this.addresses = { ...this.addresses, [host]: address }
  }

  /** What the link did to frames, once the network is closed; `undefined` for a link that does nothing to them. */
  get frames() {
    const [, counts] = this.#relaySaid.split('\n')
    return counts ? JSON.parse(counts) : undefined
  }

  /** Ends what runs on the hosts and removes them. May be called again. */
  async close() {
    if (!open.delete(this)) return
    await this.#endRelay()
    const ended = [...this.#children].map((child) => new Promise((resolve) => child.once('exit', resolve)))
    this.#end()
    await Promise.all(ended)
  }

  /** It says what it did, and ends. */
  async #endRelay() {
    const relay = this.#relay
    if (relay === undefined || relay.exitCode !== null || relay.signalCode !== null) return
    const timer = setTimeout(() => relay.kill('SIGKILL'), 2_000)
    const ended = new Promise((resolve) => relay.once('close', resolve))
    relay.stdin.end()
    await ended
    clearTimeout(timer)
  }

  /** What can be done without waiting: enough when the process ends. */
  removeNow() {
    open.delete(this)
    this.#end()
  }

  #end() {
    for (const child of this.#children) child.kill('SIGKILL')
    this.#relay?.kill('SIGKILL')
    // a device goes with its namespace
    for (const name of Object.values(this.#names)) tryIp('netns', 'del', name)
    if (this.#relay !== undefined) for (const device of Object.values(this.#devices)) tryIp('link', 'del', device)
  }
}

function ip(...args) {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] })
}

/** For what may be gone already. */
function tryIp(...args) {
  try {
    ip(...args)
  } catch {
    // it is gone
  }
}

function onPath(program) {
  return (process.env.PATH ?? '').split(':').some((folder) => existsSync(`${folder}/${program}`))
}

/** Namespaces of runs that were killed before they could tidy up. */
function removeLeftovers() {
  const listed = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' })
  for (const [, name, pid] of listed.matchAll(new RegExp(`^(${PREFIX}(\\d+)-\\d+[ab])\\b`, 'gm'))) {
    if (!existsSync(`/proc/${pid}`)) tryIp('netns', 'del', name)
  }
}

function watch() {
  if (watching) return
  watching = true
  const removeAll = () => {
    for (const network of open) network.removeNow()
  }
  process.once('exit', removeAll)
  for (const [signal, number] of Object.entries({ SIGINT: 2, SIGTERM: 15, SIGHUP: 1 })) {
    process.once(signal, () => {
      removeAll()
      process.exit(128 + number)
    })
  }
}
