/**
 * The order of a pool's servers, which is the order of their indexes: shorter names first, names of
 * one length by their bytes. It decides where modula sends a key and which of two equal ketama
 * points comes first, so it must be twemproxy's. The same order holds for the pools of a file.
 */

/** What routing knows of a server. `index` is its place in the pool's order, live or not. */
export interface RouteServer {
  readonly name: string;
  readonly weight: number; // integer >= 1; the weights of a pool add up to less than 2^31
  readonly index: number;
}

/** For Array.sort: negative when `a` comes first. Lengths are in UTF-8 bytes. */
export function compareNames(a: string, b: string): number {
  const aBytes = Buffer.from(a);
  const bBytes = Buffer.from(b);
  return aBytes.length - bBytes.length || Buffer.compare(aBytes, bBytes);
}

/** Sorts a pool's servers by name and numbers them. The names must differ. */
export function orderServers(
  servers: readonly { readonly name: string; readonly weight: number }[],
): RouteServer[] {
  return [...servers]
    .sort((a, b) => compareNames(a.name, b.name))
    .map(({ name, weight }, index) => ({ name, weight, index }));
}
