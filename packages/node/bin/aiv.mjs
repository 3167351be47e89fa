#!/usr/bin/env node
let program
try {
  program = await import('../dist/index.js')
} catch (error) {
  if (error?.code !== 'ERR_MODULE_NOT_FOUND') throw error
  console.error(`error NOT_BUILT: ${error.message.split('\n')[0]} (hint: npm run build)`)
  process.exit(1)
}
await program.main(process.argv)
