// Throw-away Ed25519 certificates for the TLS baseline, made with openssl.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A folder with `server.key`, `server.crt`, `client.key`, `client.crt`; `undefined` where there is no openssl. */
export function makeCertificates() {
  const folder = mkdtempSync(join(tmpdir(), 'aiv-bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['server', 'client']) {
    const { status } = spawnSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', '-subj', `/CN=${name}`],
        ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
        ...['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.crt`)],
      ],
      { stdio: 'ignore' },
    )
    if (status !== 0) return undefined
  }
  return folder
}
