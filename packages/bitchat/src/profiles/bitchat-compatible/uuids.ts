/**
 * What the deployed apps advertise and look for. The characteristic has read, write, write without response and notify;
 * the advertisement holds the service alone, no name and no data.
 */
export const bitchatUuids = Object.freeze({
  service: 'f47b5e2d-4a9e-4c5a-9b3f-8e1d2c3a4b5c',
  characteristic: 'a1b2c3d4-e5f6-4a5b-8c9d-0e1f2a3b4c5d',
})
