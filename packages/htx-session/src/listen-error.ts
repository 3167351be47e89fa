import { TransportError } from '@aiv/transport-api'

/** What the platform says of a listener that did not come up (`code`: errno name), as a code and what to do about it. */
export function listenError(
  error: Error & { readonly code?: string | undefined },
  host: string | undefined,
  port: number,
): TransportError {
  const where = `${host ?? '*'}:${port}`
  const cause = { cause: error }
  if (error.code === 'EADDRINUSE') {
    const hint = 'stop the program that listens there, or choose another port (0 takes a free one)'
    return new TransportError('TRANSPORT_PORT_TAKEN', `${where} is taken: ${hint}`, cause)
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    const hint =
      port > 0 && port < 1024 ? 'ports below 1024 are for root, choose a higher one' : 'ask whoever runs this machine'
    return new TransportError('TRANSPORT_PERMISSION', `no permission to listen on ${where}: ${hint}`, cause)
  }
  return new TransportError('TRANSPORT_UNAVAILABLE', `cannot listen on ${where}: ${error.message}`, cause)
}
