import { createHash, createPrivateKey, createPublicKey, sign, X509Certificate } from 'node:crypto'
import { AsnConvert } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  Certificate,
  Name,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'
import { type LocalIdentity, nodeIdFromBytes, type PeerIdentity, toHex } from '@aiv/transport-api'
import { certifiedKey } from './certified-key.js'
import type { QuicCredentials } from './quic-engine.js'

/** Ed25519, RFC 8410. */
const ED25519 = '1.3.101.112'
/** Larger ones are none of ours, which have about 200 bytes. */
const MAX_CERTIFICATE_BYTES = 2048

/**
 * Our certificate: self-signed by the node key, with nothing in it that anybody is to believe. Its dates never pass, its
 * names are empty, and it is the same every time.
 */
export function createCredentials(identity: LocalIdentity): QuicCredentials {
  const der = identity.privateKeyPkcs8()
  try {
    const privateKey = createPrivateKey({
      key: Buffer.from(der.buffer, der.byteOffset, der.length),
      format: 'der',
      type: 'pkcs8',
    })
    const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' })
    const algorithm = new AlgorithmIdentifier({ algorithm: ED25519 })
    const body = new TBSCertificate({
      version: Version.v3,
      serialNumber: Uint8Array.of(1).buffer,
      signature: algorithm,
      issuer: new Name([]),
      subject: new Name([]),
      validity: new Validity({
        notBefore: new Date('2020-01-01T00:00:00Z'),
        notAfter: new Date('9999-12-31T23:59:59Z'),
      }),
      subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    })
    const signature = sign(null, Buffer.from(AsnConvert.serialize(body)), privateKey)
    const certificate = new Certificate({
      tbsCertificate: body,
      signatureAlgorithm: algorithm,
      signatureValue: Uint8Array.from(signature).buffer,
    })
    return {
      certificate: Buffer.from(new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString()),
      privateKey: Buffer.from(privateKey.export({ format: 'pem', type: 'pkcs8' })),
    }
  } finally {
    der.fill(0)
  }
}

/**
 * Whose certificate it is: exactly one, for an Ed25519 key that proves something. `undefined`: refused. That its holder
 * has the key is proven by the TLS handshake; dates, names and the certificate's own signature mean nothing here.
 */
export function identifyPeer(chain: readonly Uint8Array[]): PeerIdentity | undefined {
  const [der] = chain
  if (der === undefined || chain.length !== 1 || der.length > MAX_CERTIFICATE_BYTES) return undefined
  const publicKey = certifiedKey(der)
  if (publicKey === undefined) return undefined
  if (!isStrongKey(publicKey)) return undefined
  const nodeId = nodeIdFromBytes(createHash('sha256').update(publicKey).digest().subarray(0, 16))
  return Object.freeze({ nodeId, publicKey })
}

// y of the points of small order on edwards25519, little-endian; under such a key anybody can sign. docs/wire/identity.md
const smallOrderY: ReadonlySet<string> = new Set([
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
])
/** p = 2^255 − 19 is ed ff … ff 7f: the lowest y that is not canonical. */
const LOWEST_BYTE_OF_P = 0xed

/** y below p, and no point of small order, whatever the sign of x. */
function isStrongKey(key: Uint8Array): boolean {
  const y = Uint8Array.from(key)
  y[31] = (y[31] as number) & 0x7f
  const canonical =
    y[31] !== 0x7f || y.subarray(1, 31).some((byte) => byte !== 0xff) || (y[0] as number) < LOWEST_BYTE_OF_P
  return canonical && !smallOrderY.has(toHex(y))
}
