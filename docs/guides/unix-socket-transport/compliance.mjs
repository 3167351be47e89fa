// The suite that every transport has to pass, for whichever test runner calls this.
/** @import { ComplianceRunner } from '@aiv/testkit' */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock, systemRandom } from '@aiv/core'
import { createIdentity, secureChannels } from '@aiv/security'
import { transportCompliance } from '@aiv/testkit'
import { silentLogger } from '@aiv/transport-api'
import { unixSockets } from './unix-sockets.mjs'

const openSockets = () => process.getActiveResourcesInfo().filter((name) => /^Pipe(Server)?Wrap$/.test(name)).length

/** @param {ComplianceRunner} runner - `{ describe, test }` of jest, of node:test, of vitest */
export function compliance(runner) {
  transportCompliance(runner, {
    create() {
      const folder = mkdtempSync(join(tmpdir(), 'unix-sockets-'))
      const before = openSockets()
      let nodes = 0
      return {
        clock: systemClock,
        deadAddress: `unix://localhost${folder}/nobody`,
        async node(_name, role) {
          const identity = await createIdentity()
          const secure = secureChannels({ identity, clock: systemClock })
          const platform = { clock: systemClock, random: systemRandom, log: silentLogger, metrics: undefined }
          const options = role === 'listener' ? { path: join(folder, `${nodes++}`) } : {}
          return { transport: unixSockets(options)({ identity, secure, ...platform }), nodeId: identity.nodeId }
        },
        openHandles: () => Math.max(0, openSockets() - before),
        cleanup: () => rmSync(folder, { recursive: true }),
      }
    },
  })
}
