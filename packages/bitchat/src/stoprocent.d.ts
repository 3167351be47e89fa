// Parts of the two packages that have no types of their own.

declare module '@stoprocent/noble/lib/resolve-bindings.js' {
  export default function withBindings(type: string, options: object): unknown
}

declare module '@stoprocent/bleno/lib/resolve-bindings.js' {
  export default function withBindings(type: string, options: object): unknown
}
