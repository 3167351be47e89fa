import { describe, test } from '@jest/globals'
import { secureChannelsCompliance } from '@aiv/testkit'
import { Identity, identityFromSeed, secureChannels } from '../src/index.js'
import { cryptos } from './cryptos.js'

const now = Date.UTC(2026, 0, 1)
const clock = { unixNow: () => now }
const DAY = 86_400_000

/** Shows a certificate that it made ten days ago. */
class OutdatedIdentity extends Identity {
  override certificate(unixNow: number): Uint8Array {
    return super.certificate(unixNow - 10 * DAY)
  }
}

for (const [name, crypto] of cryptos) {
  const seedOf = (who: string) => crypto.sha256(new TextEncoder().encode(who))
  const party = (identity: Identity) => ({
    channels: secureChannels({ identity, clock }),
    nodeId: identity.nodeId,
  })
  describe(name, () => {
    secureChannelsCompliance(
      { describe, test },
      {
        suites: crypto.suites,
        create: (who) => party(identityFromSeed(crypto, seedOf(who))),
        createExpired: (who) => {
          const secrets = identityFromSeed(crypto, seedOf(who)).exportSecrets()
          return party(new OutdatedIdentity(crypto, secrets))
        },
      },
    )
  })
}
