import { createCipheriv, createHash, randomBytes } from 'node:crypto'
import { open } from 'node:fs/promises'

const BLOCK_BYTES = 1_048_576

/**
 * Writes `size` bytes that nothing compresses: the key stream of AES-128-CTR under a random key. Returns their SHA-256
 * in hex.
 */
export async function makeDemoFile(path: string, size: number): Promise<string> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16))
  const zeros = new Uint8Array(BLOCK_BYTES)
  const hash = createHash('sha256')
  const handle = await open(path, 'wx')
  try {
    for (let done = 0; done < size; done += BLOCK_BYTES) {
      const block = cipher.update(zeros.subarray(0, Math.min(BLOCK_BYTES, size - done)))
      hash.update(block)
      await handle.writeFile(block)
    }
  } finally {
    await handle.close()
  }
  return hash.digest('hex')
}
