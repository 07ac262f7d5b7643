/**
 * Builds the ketama ring of a pool's live servers, point for point as twemproxy does.
 *
 *   0                          hash                               2^32
 *   |---p0-----p1--p2-----------h----p3-------p4---- … ---pn-------|
 *                                ---->
 *   a key belongs to the first point at or after its hash; after the last one, to the first
 *
 * A server's points come from md5("<name>-<i>"), four from each digest. How many it gets is
 * computed in float32 there, and the rounding shows: some pool sizes give 156 points to each server
 * instead of 160, and a server of tiny relative weight gets none. Every step is rounded alike here.
 * (Names longer than 83 bytes overrun a buffer there; nothing definite to reproduce, so they are
 * hashed whole.) Control plane: allocates freely.
 */
import { createHash } from 'node:crypto';
import { assert } from '../base/assert.js';
import type { RouteServer } from './server-order.js';

export interface KetamaRing {
  /** Point ^ 0x80000000, ascending as signed numbers: the order of the unsigned points. */
  readonly points: Int32Array;
  /** Index of the server that owns the point of the same position. */
  readonly owners: Int32Array;
}

const POINTS_PER_SERVER = 160;
const POINTS_PER_DIGEST = 4;

/**
 * More points than any live subset of `serverCount` servers can have. Before rounding, the shares
 * add up to 160 per server; rounding to float32 can lift a share over the next multiple of 4.
 */
export function ketamaPointsMax(serverCount: number): number {
  return serverCount * (POINTS_PER_SERVER + POINTS_PER_DIGEST);
}

/** The number of points that a server of `weight` gets: a multiple of 4, possibly 0. */
export function ketamaPointCount(weight: number, weightTotal: number, liveCount: number): number {
  const f32 = Math.fround;
  const share = f32(f32(weight) / f32(weightTotal));
  const digests = f32(f32(f32(share * POINTS_PER_SERVER) / POINTS_PER_DIGEST) * f32(liveCount));
  // The small constant is a double there: the sum is computed in double and then rounded once.
  return Math.floor(f32(digests + 1e-10)) * POINTS_PER_DIGEST;
}

/** Builds the ring of `servers`, which are all live and in ascending order of their indexes. */
export function buildKetama(servers: readonly RouteServer[]): KetamaRing {
  const weightTotal = servers.reduce((sum, server) => sum + server.weight, 0);
  const counts = servers.map((s) => ketamaPointCount(s.weight, weightTotal, servers.length));
  const pointCount = counts.reduce((sum, count) => sum + count, 0);
  assert(pointCount <= ketamaPointsMax(servers.length), 'a ring fits the room reserved for it');
  assert(pointCount < 2 ** 21, 'a point and its position fit 53 bits');

  // Points are sorted together with the position at which they were made, so that of two equal
  // points the one of the lower server index stays first.
  const keys = new Float64Array(pointCount);
  const makers = new Int32Array(pointCount);
  let position = 0;
  servers.forEach((server, s) => {
    assert(s === 0 || servers[s - 1]!.index < server.index, 'servers are in order');
    for (let i = 0; i < counts[s]! / POINTS_PER_DIGEST; i++) {
      const digest = createHash('md5').update(`${server.name}-${i}`).digest();
      for (let word = 0; word < POINTS_PER_DIGEST; word++) {
        keys[position] = digest.readUInt32LE(word * 4) * 2 ** 21 + position;
        makers[position++] = server.index;
      }
    }
  });
  return split(keys.sort(), makers);
}

/** Takes the sorted keys apart again. */
function split(keys: Float64Array, makers: Int32Array): KetamaRing {
  const points = new Int32Array(keys.length);
  const owners = new Int32Array(keys.length);
  keys.forEach((key, i) => {
    points[i] = Math.floor(key / 2 ** 21) ^ 0x80000000;
    owners[i] = makers[key % 2 ** 21]!;
  });
  return { points, owners };
}
