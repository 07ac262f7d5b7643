/**
 * Builds the modula list of a pool's live servers.
 *
 *   weights 1, 3, 2:      place  0 | 1 2 3 | 4 5      place = hash modulo 6
 *                         owner  0 | 1     | 2
 *                         last   0 | 3     | 5
 *
 * twemproxy writes every server down weight times; the last places of these runs say the same in a
 * size that does not depend on the weights. A key belongs to the first run that ends at or after
 * its place.
 */
import { assert } from '../base/assert.js';
import type { RouteServer } from './server-order.js';

export interface ModulaRuns {
  /** Ascending; the last one is the sum of the weights, less one. */
  readonly lasts: Int32Array;
  /** Index of the server that owns the run of the same position. */
  readonly owners: Int32Array;
}

/** Builds the runs of `servers`, which are all live and in ascending order of their indexes. */
export function buildModula(servers: readonly RouteServer[]): ModulaRuns {
  const lasts = new Int32Array(servers.length);
  const owners = new Int32Array(servers.length);
  let weightTotal = 0;
  servers.forEach((server, i) => {
    assert(server.weight >= 1, 'every server has a weight');
    weightTotal += server.weight;
    assert(weightTotal < 2 ** 31, 'the weights of a pool add up to less than 2^31');
    lasts[i] = weightTotal - 1;
    owners[i] = server.index;
  });
  return { lasts, owners };
}
