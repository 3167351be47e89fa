import { describe, expect, test } from '@jest/globals'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { dataFolder, defaultDataPath } from '../src/data-folder.js'
import { localSocketPath } from '../src/local/socket-path.js'

describe('where a node keeps its things', () => {
  test.each([
    ['linux', { HOME: '/home/u' }, '/home/u/.local/share/aiv'],
    ['linux', { HOME: '/home/u', XDG_DATA_HOME: '/data' }, '/data/aiv'],
    ['linux', { HOME: '/home/u', XDG_DATA_HOME: 'relative' }, '/home/u/.local/share/aiv'],
    ['linux', { HOME: '/home/u', AIV_HOME: '/elsewhere' }, '/elsewhere'],
    ['darwin', { HOME: '/Users/u' }, '/Users/u/Library/Application Support/aiv'],
  ] as const)('on %s with %j is %s', (platform, env, expected) => {
    expect(defaultDataPath(env, platform)).toBe(expected)
  })

  test('on Windows it is in the local application data, and its socket is a named pipe', () => {
    expect(defaultDataPath({ LOCALAPPDATA: 'C:\\L', USERPROFILE: 'C:\\U' }, 'win32')).toBe(join('C:\\L', 'aiv'))
    expect(localSocketPath(dataFolder('/x'), 'win32')).toMatch(/^\\\\\.\\pipe\\aiv-[0-9a-f]{32}$/)
  })

  test('a socket whose path would be too long is put under the temporary folder, one for each data folder', () => {
    expect(localSocketPath(dataFolder('/short'), 'linux')).toBe('/short/aiv.sock')
    const deep = `/${'deep/'.repeat(30)}`
    const path = localSocketPath(dataFolder(deep), 'linux')
    expect(path.startsWith(tmpdir())).toBe(true)
    expect(Buffer.byteLength(path)).toBeLessThanOrEqual(103)
    expect(localSocketPath(dataFolder(`${deep}x`), 'linux')).not.toBe(path)
  })
})
