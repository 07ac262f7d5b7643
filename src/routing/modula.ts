/**
 * Builds the modula list of a pool's live servers.
 *
 *   weights 1, 3, 2:      place  0 | 1 2 3 | 4 5      place = hash modulo 6
 *                         server 0 | 1     | 2
 *                         ends   1 | 4     | 6
 *
 * twemproxy writes every server down weight times; the ends of these runs say the same in a size
 * that does not depend on the weights. A key belongs to the first run whose end is above its place.
 */
import { assert } from '../base/assert.js';
import type { RouteServer } from './server-order.js';

export interface ModulaRuns {
  /** Ascending; the last one is the sum of the weights. */
  readonly ends: Int32Array;
  /** Index of the server of the run of the same position. */
  readonly owners: Int32Array;
}

/** Builds the runs of `servers`, which are all live and in ascending order of their indexes. */
export function buildModula(servers: readonly RouteServer[]): ModulaRuns {
  const ends = new Int32Array(servers.length);
  const owners = new Int32Array(servers.length);
  let end = 0;
  servers.forEach((server, i) => {
    assert(server.weight >= 1, 'every server has a weight');
    end += server.weight;
    assert(end < 2 ** 31, 'the weights of a pool add up to less than 2^31');
    ends[i] = end;
    owners[i] = server.index;
  });
  return { ends, owners };
}
