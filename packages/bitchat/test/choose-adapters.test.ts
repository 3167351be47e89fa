import { describe, expect, test } from '@jest/globals'
import { chooseAdapters } from '../src/choose-adapters.js'

const both = { central: {}, peripheral: undefined }

describe('which adapter does what', () => {
  test('on Linux the first two have a role each', () => {
    expect(chooseAdapters(both, 'linux', [0, 1, 2])).toEqual({
      central: { device: 0 },
      peripheral: { device: 1 },
      shared: false,
    })
    expect(chooseAdapters({ central: { device: 1 }, peripheral: undefined }, 'linux', [0, 1])).toMatchObject({
      central: { device: 1 },
      peripheral: { device: 0 },
    })
    expect(chooseAdapters({ central: {}, peripheral: { device: 0 } }, 'linux', [0, 1])).toMatchObject({
      central: { device: 1 },
    })
  })

  test('a single one on Linux is shared only when it is named twice', () => {
    expect(() => chooseAdapters(both, 'linux', [0])).toThrow('hci0 is the only Bluetooth adapter and two are needed')
    expect(chooseAdapters({ central: { device: 0 }, peripheral: { device: 0 } }, 'linux', [0])).toMatchObject({
      shared: true,
    })
    expect(chooseAdapters({ central: {}, peripheral: false }, 'linux', [0])).toMatchObject({ peripheral: undefined })
  })

  test('without an adapter, or without the one that was named, the error says what there is', () => {
    expect(() => chooseAdapters(both, 'linux', [])).toThrow('there is no Bluetooth adapter')
    expect(() => chooseAdapters({ central: { device: 3 }, peripheral: undefined }, 'linux', [0, 1])).toThrow(
      'there is no hci3, only hci0 and hci1',
    )
  })

  test('macOS shares its own, Windows only dials unless it is given something to advertise with', () => {
    expect(chooseAdapters(both, 'darwin', undefined)).toEqual({ central: {}, peripheral: {}, shared: true })
    expect(chooseAdapters(both, 'win32', undefined)).toMatchObject({ peripheral: undefined })
    const dongle = { driver: 'uart', driverParams: { uart: { port: 'COM3' } } }
    expect(chooseAdapters({ central: {}, peripheral: dongle }, 'win32', undefined)).toEqual({
      central: {},
      peripheral: dongle,
      shared: false,
    })
  })

  test('a driver that was chosen knows its own devices', () => {
    const virtual = {}
    const stack = () => ({ driver: 'virtual', driverParams: { virtual } })
    expect(chooseAdapters({ central: stack(), peripheral: stack() }, 'linux', [])).toMatchObject({ shared: true })
    const other = { driver: 'virtual', driverParams: { virtual: {} } }
    expect(chooseAdapters({ central: stack(), peripheral: other }, 'linux', [])).toMatchObject({ shared: false })
  })
})
