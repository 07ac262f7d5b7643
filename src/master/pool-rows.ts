/**
 * A configuration's pools, servers and routes as rows of the instance tables.
 *
 * A pool has room for two route generations; bit 0 of superblock.route_generation says which one
 * all lanes use. The bit is the same for all pools, so a new configuration writes both.
 */
import type { PoolSettings } from '../config/settings.js';
import { hashKindOf } from '../routing/hash-kinds.js';
import { distributionOf } from '../routing/distribution.js';
import { writeRoute } from '../routing/route-table.js';
import type { RouteServer } from '../routing/server-order.js';
import { SessionMode } from '../shm/codes.js';
import type { Segment } from '../shm/segment.js';
import { Backend, Pool, TableNumber } from '../tables/columns.gen.js';
import { routeWordsOf } from './capacities.js';
import type { Generation } from './generation.js';

/** Writes every row; all servers are live. */
export function writePools(segment: Segment, generation: Generation): void {
  let backend = generation.firstBackend;
  let routeWord = generation.firstRouteWord;
  generation.settings.pools.forEach((pool, index) => {
    const row = generation.firstPool + index;
    writePool(segment, row, pool, backend, routeWord);
    pool.servers.forEach((server, place) => {
      const { words, doubles } = segment.shared;
      const word = segment.wordBase(TableNumber.Backend) + (backend + place) * Backend.RowWords;
      words.fill(0, word, word + Backend.RowWords);
      words[word + Backend.Pool] = row;
      words[word + Backend.Index] = place;
      words[word + Backend.Weight] = server.weight;
      words[word + Backend.Live] = 1;
      doubles[word / 2 + Backend.EjectedUntilUs] = 0;
    });
    backend += pool.servers.length;
    routeWord += 2 * routeWordsOf(pool);
  });
}

function writePool(
  segment: Segment, row: number, pool: PoolSettings, firstBackend: number, routeWord: number,
): void {
  const { words, doubles } = segment.shared;
  const at = segment.wordBase(TableNumber.Pool) + row * Pool.RowWords;
  words.fill(0, at, at + Pool.RowWords);
  words[at + Pool.Hash] = hashKindOf(pool.hash)!;
  words[at + Pool.TagOpen] = pool.hashTag === null ? -1 : pool.hashTag.charCodeAt(0);
  words[at + Pool.TagClose] = pool.hashTag === null ? -1 : pool.hashTag.charCodeAt(1);
  words[at + Pool.Distribution] = distributionOf(pool.distribution)!;
  words[at + Pool.TimeoutMs] = pool.timeoutMs;
  words[at + Pool.ClientsMax] = pool.clientConnections;
  words[at + Pool.RequestsMax] = pool.clientRequestsMax;
  words[at + Pool.BulkMax] = pool.requestSizeMaxBytes;
  words[at + Pool.InlineMax] = pool.inlineSizeMaxBytes;
  words[at + Pool.InitialMode] = pool.redisAuth === null ? 0 : SessionMode.NeedsAuth;
  words[at + Pool.FirstBackend] = firstBackend;
  words[at + Pool.Backends] = pool.servers.length;
  words[at + Pool.RouteBase] = routeWord;
  words[at + Pool.RouteWords] = routeWordsOf(pool);
  words[at + Pool.Keepalive] = pool.tcpkeepalive ? 1 : 0;
  doubles[at / 2 + Pool.OutputLimit] = pool.clientOutputLimitBytes;
  doubles[at / 2 + Pool.LinkQueueLimit] = pool.linkQueueLimitBytes;
}

/** Writes both route generations of every pool, by which of its servers are live. */
export function writeRoutes(segment: Segment, generation: Generation): void {
  generation.settings.pools.forEach((pool, index) => {
    const row = generation.firstPool + index;
    const live = liveServers(segment, row);
    for (const side of [0, 1]) writePoolRoute(segment, row, pool, side, live);
  });
}

/** Writes one of the two route generations of a pool; no lane may be using it. */
export function writePoolRoute(
  segment: Segment, row: number, pool: PoolSettings, side: number, live: readonly boolean[],
): void {
  const { plan, shared } = segment;
  const first = plan.routeBase / 4;
  const region = shared.words.subarray(first, first + plan.capacities.routeWords);
  const size = poolColumn(segment, row, Pool.RouteWords);
  const base = poolColumn(segment, row, Pool.RouteBase) + side * size;
  writeRoute(region, base, distributionOf(pool.distribution)!, routeServers(pool), live);
}

/** For each server of a pool whether its row says that it is live. */
export function liveServers(segment: Segment, row: number): boolean[] {
  const first = poolColumn(segment, row, Pool.FirstBackend);
  const backends = segment.wordBase(TableNumber.Backend);
  return Array.from({ length: poolColumn(segment, row, Pool.Backends) }, (_, place) =>
    segment.shared.words[backends + (first + place) * Backend.RowWords + Backend.Live] !== 0);
}

function poolColumn(segment: Segment, row: number, column: Pool): number {
  return segment.shared.words[segment.wordBase(TableNumber.Pool) + row * Pool.RowWords + column]!;
}

/** Settings keep servers in routing's order already. */
function routeServers(pool: PoolSettings): RouteServer[] {
  return pool.servers.map(({ name, weight }, index) => ({ name, weight, index }));
}
