/** libsodium compiled to WebAssembly, ready for use. Loaded (50 ms) when first asked for, so that nobody else pays for it. */
export async function loadSodium() {
  const { default: sodium } = await import('libsodium-wrappers-sumo')
  await sodium.ready
  return sodium
}

export type Sodium = Awaited<ReturnType<typeof loadSodium>>
