/** Where this package lies: the folder above this module's, and above the built one's. */
export const packageFolder = new URL('..', import.meta.url)
