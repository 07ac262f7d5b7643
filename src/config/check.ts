/**
 * The rules between directives: those that no single value can break.
 * A value that was wrong by itself is absent here, or its default stands in; no rule complains
 * about the consequence.
 */
import { canonicalAddress } from './addresses.js';
import { printTime } from './value-types.js';
import type { Place, Remarks } from './remarks.js';
import { quoted } from './remarks.js';
import type {
  GlobalValues, Lines, ListenAddress, PoolValues, ServerAddress, ServerSettings,
} from './settings.js';
import type { WrittenEntry, WrittenScalar } from './yaml-source.js';

/** A scope as read, before it is known to be right. */
export interface ScopeDraft {
  readonly values: Partial<GlobalValues & PoolValues>;
  readonly lines: Lines;
  readonly written: ReadonlyMap<string, WrittenEntry>;
}

export interface PoolDraft extends ScopeDraft {
  readonly name: string;
  readonly place: Place;
  readonly servers: ReadonlyMap<ServerSettings, WrittenScalar>; // where each server is written
}

export function checkPool(pool: PoolDraft, mistakes: Remarks, warnings: Remarks): void {
  checkProtocol(pool, mistakes);
  checkReconnect(pool, mistakes);
  checkServerNames(pool, mistakes);
  checkLoop(pool, mistakes);
  warnOfUnreachedServers(pool, warnings);
  warnOfIgnoredWeights(pool, warnings);
}

function checkProtocol(pool: PoolDraft, mistakes: Remarks): void {
  const redis = pool.written.get('redis');
  const isMistaken = redis !== undefined && !isWord(redis, 'true') && !isWord(redis, 'false');
  if (pool.values.redis === true || isMistaken) return;
  mistakes.add(redis?.value.place ?? pool.place, 'redis',
    `pool ${quoted(pool.name)} is a memcached pool, which is not supported yet, ` +
    'allowed: "redis: true"');
  for (const name of ['redis_auth', 'redis_db']) {
    const entry = pool.written.get(name);
    if (entry === undefined) continue;
    mistakes.add(entry.place, name, 'needs a Redis pool, allowed: beside "redis: true"');
  }
}

function isWord({ value }: WrittenEntry, word: string): boolean {
  return value.kind === 'scalar' && value.text === word;
}

function checkReconnect(pool: PoolDraft, mistakes: Remarks): void {
  const { reconnectMinMs: min = 0, reconnectMaxMs: max = 0 } = pool.values;
  if (min <= max) return;
  const entry = pool.written.get('reconnect_max') ?? pool.written.get('reconnect_min');
  mistakes.add(entry?.value.place ?? pool.place, entry?.key ?? 'reconnect_max',
    `reconnect_min (${printTime(min)}) is above reconnect_max (${printTime(max)}), ` +
    'allowed: at most as long');
}

function checkServerNames(pool: PoolDraft, mistakes: Remarks): void {
  const lines = new Map<string, number>();
  for (const [server, written] of pool.servers) {
    const line = lines.get(server.name);
    if (line === undefined) {
      lines.set(server.name, server.line);
      continue;
    }
    mistakes.add(written.place, 'servers', `${quoted(server.name)} is a duplicate name, ` +
      `allowed: once per pool (the first is on line ${line})`);
  }
}

/** A pool that is its own server would send each request round until something breaks. */
function checkLoop(pool: PoolDraft, mistakes: Remarks): void {
  const { listen } = pool.values;
  if (listen === undefined) return;
  for (const [server, written] of pool.servers) {
    if (!reaches(server.address, listen)) continue;
    mistakes.add(written.place, 'servers', `${quoted(server.address.text)} is where this pool ` +
      'itself listens, allowed: the address of a Redis server');
  }
}

function reaches(address: ServerAddress, listen: ListenAddress): boolean {
  if (canonicalAddress(address) === canonicalAddress(listen)) return true;
  if (address.kind !== 'tcp' || listen.kind !== 'tcp' || address.port !== listen.port) return false;
  const isEvery = listen.host === '0.0.0.0' || listen.host === '::';
  return isEvery && /^(127\.[\d.]+|::1|localhost)$/i.test(address.host);
}

function warnOfUnreachedServers(pool: PoolDraft, warnings: Remarks): void {
  if (pool.values.distribution !== 'ketama') return;
  const servers = [...pool.servers.keys()];
  const total = servers.reduce((sum, { weight }) => sum + weight, 0);
  for (const [server, written] of pool.servers) {
    if (ketamaPointCount(server.weight, total, servers.length) > 0) continue;
    warnings.add(written.place, 'servers', `${quoted(server.name)} gets 0 ketama points ` +
      `(weight ${server.weight} of ${total}): no key will live there, allowed: a greater weight`);
  }
}

function warnOfIgnoredWeights(pool: PoolDraft, warnings: Remarks): void {
  if (pool.values.distribution !== 'random') return;
  for (const [server, written] of pool.servers) {
    if (server.weight === 1) continue;
    warnings.add(written.place, 'servers', `${quoted(server.name)} has weight ${server.weight}, ` +
      'which distribution random ignores, allowed: 1');
  }
}

const POINTS_PER_SERVER = 160;
const POINTS_PER_HASH = 4;

/**
 * How many points twemproxy gives a server on a ketama ring of `liveCount` servers, in float32
 * step by step as its C code computes it: rounding makes it 156 now and then, or 0.
 */
export function ketamaPointCount(weight: number, totalWeight: number, liveCount: number): number {
  const round = Math.fround;
  const share = round(round(weight) / round(totalWeight));
  const hashesPerServer = round(round(share * POINTS_PER_SERVER) / POINTS_PER_HASH);
  const hashes = round(round(hashesPerServer * round(liveCount)) + 1e-10);
  return Math.floor(hashes) * POINTS_PER_HASH;
}

interface Listening {
  readonly owner: string;
  readonly directive: string;
  readonly address: ListenAddress;
  readonly place: Place;
}

/** No two of pools, statistics and metrics may listen at one address. */
export function checkAddresses(
  global: ScopeDraft, pools: readonly PoolDraft[], mistakes: Remarks,
): void {
  const all: Listening[] = [];
  const collect = (
    draft: ScopeDraft, directive: string, owner: string, address?: ListenAddress | null,
  ): void => {
    const place = draft.written.get(directive)?.value.place;
    if (address && place !== undefined) all.push({ owner, directive, address, place });
  };
  collect(global, 'stats', '"stats"', global.values.stats);
  collect(global, 'metrics', '"metrics"', global.values.metrics);
  for (const pool of pools) {
    collect(pool, 'listen', `pool ${quoted(pool.name)}`, pool.values.listen);
  }
  all.sort((a, b) => a.place.line - b.place.line);

  const firsts = new Map<string, Listening>();
  for (const each of all) {
    const first = firsts.get(canonicalAddress(each.address));
    if (first === undefined) {
      firsts.set(canonicalAddress(each.address), each);
      continue;
    }
    mistakes.add(each.place, each.directive, `${quoted(each.address.text)} is taken by ` +
      `${first.owner} on line ${first.place.line}, allowed: an address of its own`);
  }
}
