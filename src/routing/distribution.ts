/**
 * How a pool spreads hashes over its servers, by number and by the name that a configuration uses.
 * What is built of each is in ketama.ts, modula.ts and random.ts.
 */
export const enum Distribution {
  Ketama = 0, // consistent hashing on a ring of points; twemproxy's default
  Modula = 1, // hash modulo the sum of weights
  Random = 2, // any live server; weights are ignored
}

/** Indexed by Distribution. */
export const DISTRIBUTION_NAMES: readonly string[] = ['ketama', 'modula', 'random'];

/** The distribution that a configuration calls `name`; undefined when there is none. */
export function distributionOf(name: string): Distribution | undefined {
  const distribution = DISTRIBUTION_NAMES.indexOf(name);
  return distribution < 0 ? undefined : (distribution as Distribution);
}
