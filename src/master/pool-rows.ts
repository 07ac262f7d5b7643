/**
 * A roster's pools, backends and routes as rows of the instance tables, in the half that is its.
 *
 * A pool has room for two route generations; bit 0 of superblock.route_generation says which one
 * all lanes use. The bit is the same for all pools of both halves, so a new roster writes both.
 */
import type { RosterBackend, RosterPool } from '../config/roster.js';
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

/** Writes every row of a half; all servers are live. No lane may be using it. */
export function writePools(segment: Segment, { roster, half }: Generation): void {
  const { words } = segment.shared;
  const { pools, backends, routeWords } = segment.plan.capacities;
  const clear = (first: number, rows: number, rowWords: number): void => {
    words.fill(0, first, first + rows * rowWords);
  };
  clear(poolWord(segment, half, 0), pools / 2, Pool.RowWords);
  clear(backendWord(segment, half, 0), backends / 2, Backend.RowWords);
  let routeWord = half * (routeWords / 2);
  for (const pool of roster.pools) {
    writePool(segment, poolWord(segment, half, pool.id), pool, routeWord);
    let place = 0;
    for (const backend of pool.backends) {
      const index = backend.isRetired ? -1 : place++;
      writeBackend(segment, backendWord(segment, half, backend.id), pool.id, backend, index);
    }
    routeWord += 2 * routeWordsOf(pool.settings);
  }
}

function writePool(segment: Segment, at: number, pool: RosterPool, routeWord: number): void {
  const { words, doubles } = segment.shared;
  const { settings } = pool;
  words[at + Pool.Hash] = hashKindOf(settings.hash)!;
  words[at + Pool.TagOpen] = settings.hashTag === null ? -1 : settings.hashTag.charCodeAt(0);
  words[at + Pool.TagClose] = settings.hashTag === null ? -1 : settings.hashTag.charCodeAt(1);
  words[at + Pool.Distribution] = distributionOf(settings.distribution)!;
  words[at + Pool.TimeoutMs] = settings.timeoutMs;
  words[at + Pool.ClientsMax] = settings.clientConnections;
  words[at + Pool.RequestsMax] = settings.clientRequestsMax;
  words[at + Pool.BulkMax] = settings.requestSizeMaxBytes;
  words[at + Pool.InlineMax] = settings.inlineSizeMaxBytes;
  words[at + Pool.InitialMode] = settings.redisAuth === null ? 0 : SessionMode.NeedsAuth;
  words[at + Pool.Backends] = settings.servers.length;
  words[at + Pool.RouteBase] = routeWord;
  words[at + Pool.RouteWords] = routeWordsOf(settings);
  words[at + Pool.Keepalive] = settings.tcpkeepalive ? 1 : 0;
  words[at + Pool.Retired] = pool.isRetired ? 1 : 0;
  doubles[at / 2 + Pool.OutputLimit] = settings.clientOutputLimitBytes;
  doubles[at / 2 + Pool.LinkQueueLimit] = settings.linkQueueLimitBytes;
}

function writeBackend(
  segment: Segment, at: number, pool: number, { server }: RosterBackend, index: number,
): void {
  const { words } = segment.shared;
  words[at + Backend.Pool] = pool;
  words[at + Backend.Index] = index;
  words[at + Backend.Weight] = server.weight;
  words[at + Backend.Live] = 1;
}

/** Writes both route generations of every pool, by which of its servers are live. */
export function writeRoutes(segment: Segment, generation: Generation): void {
  for (const pool of generation.roster.pools) {
    const live = liveServers(segment, generation.half, pool);
    for (const side of [0, 1]) writePoolRoute(segment, generation.half, pool, side, live);
  }
}

/** Writes one of the two route generations of a pool; no lane may be using it. */
export function writePoolRoute(
  segment: Segment, half: number, { id, settings }: RosterPool, side: number,
  live: readonly boolean[],
): void {
  const { plan, shared } = segment;
  const first = plan.routeBase / 4;
  const region = shared.words.subarray(first, first + plan.capacities.routeWords);
  const at = poolWord(segment, half, id);
  const base = shared.words[at + Pool.RouteBase]! + side * shared.words[at + Pool.RouteWords]!;
  writeRoute(region, base, distributionOf(settings.distribution)!, routeServers(settings), live);
}

/**
 * For each server of a pool, in their order, whether its row says that it is live. A retired pool
 * without clients has retired its servers, too: none is.
 */
export function liveServers(segment: Segment, half: number, pool: RosterPool): boolean[] {
  const backends = pool.backends.filter(({ isRetired }) => !isRetired);
  const isLive = (id: number): boolean =>
    segment.shared.words[backendWord(segment, half, id) + Backend.Live] !== 0;
  return pool.settings.servers.map((_, place) =>
    backends[place] !== undefined && isLive(backends[place].id));
}

/** Index of a backend's row in `segment.shared.words`. */
export function backendWord(segment: Segment, half: number, id: number): number {
  const row = half * (segment.plan.capacities.backends / 2) + id;
  return segment.wordBase(TableNumber.Backend) + row * Backend.RowWords;
}

function poolWord(segment: Segment, half: number, id: number): number {
  const row = half * (segment.plan.capacities.pools / 2) + id;
  return segment.wordBase(TableNumber.Pool) + row * Pool.RowWords;
}

/** Settings keep servers in routing's order already. */
function routeServers(pool: PoolSettings): RouteServer[] {
  return pool.servers.map(({ name, weight }, index) => ({ name, weight, index }));
}
