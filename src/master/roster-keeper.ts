/**
 * Gives the parts of a configuration their ids, so that what stays over a reload keeps its own.
 *
 *   pool      found again by its name
 *   backend   by pool, name, address, password and database
 *   listener  by its canonical address
 *
 *   configured ──no longer──► retired ──nothing of it left──► forgotten; its id is free
 *       ▲                        │
 *       └──── is back ───────────┘
 *
 * Two rosters that follow each other are in use at the same time, and lanes go from one to the
 * other and back. So an id never means two things that live in both: a new part takes an id that
 * the roster before does not name, and only if there is none that of a retired part of which
 * nothing was left already then. Nor does it take one of which lanes still have something: parts
 * of an upgrade that was rolled back.
 */
import { canonicalAddress } from '../config/addresses.js';
import type { Roster, RosterBackend, RosterListener, RosterPool } from '../config/roster.js';
import type { PoolSettings, ServerSettings, Settings } from '../config/settings.js';
import { workerCount } from './worker-count.js';

/** What lanes still have of the parts of the roster before, by id. */
export interface PartsInUse {
  readonly hasClients: (pool: number) => boolean;
  readonly hasLinks: (backend: number) => boolean; // connected, or owing replies
  readonly isWatched: (listener: number) => boolean; // or has brought sessions that are there
}

/** Ids lie below. */
export interface Room {
  readonly pools: number;
  readonly backends: number;
  readonly listeners: number;
}

export interface NextRoster {
  readonly settings: Settings;
  readonly before: Roster | null;
  readonly inUse: PartsInUse;
  readonly room: Room;
  /**
   * Keeps retired backends of which nothing is left, as long as nobody needs their ids: what they
   * have counted then stays with the server's name and the pool.
   */
  readonly keepsCounts: boolean;
}

/** Ids beyond the room are given, too: whoever writes the roster must look whether it fits. */
export function nextRoster(asked: NextRoster): Roster {
  const { settings, before, inUse } = asked;
  const generation = before === null ? 0 : before.generation + 1;
  const oldPools = before?.pools ?? [];
  const poolOf = new Map(oldPools.map((pool) => [pool.settings.name, pool]));
  const names = new Set(settings.pools.map(({ name }) => name));
  const left = oldPools.filter(({ settings: { name } }) => !names.has(name));
  const [kept, dropped] = divide(left, (pool) => !isForgotten(pool, inUse));

  const poolIds = new Ids(asked.room.pools, oldPools, dropped, inUse.hasClients);
  const oldBackends = oldPools.flatMap(({ backends }) => backends);
  const found = new Set(settings.pools.flatMap((pool) =>
    findBackends(pool, poolOf.get(pool.name)).flatMap((backend) => backend?.id ?? [])));
  const spare = oldBackends.filter((backend) =>
    backend.isRetired && !found.has(backend.id) && !inUse.hasLinks(backend.id));
  const backendIds = new Ids(asked.room.backends, oldBackends, spare, inUse.hasLinks);

  const configured = settings.pools.map((pool): RosterPool => {
    const old = poolOf.get(pool.name);
    const backends = configuredBackends(pool, findBackends(pool, old), backendIds, generation);
    const retired = retiredBackends(old?.backends ?? [], found);
    return {
      id: old?.id ?? poolIds.next(), settings: pool, isRetired: false,
      backends: [...backends, ...retired],
    };
  });
  const retired = kept.map((pool) => retire(pool, inUse));
  const mayGo = new Set(spare.map(({ id }) => id));
  const isKept = ({ id, isRetired }: RosterBackend): boolean => !isRetired || !mayGo.has(id)
    || (asked.keepsCounts && !backendIds.reused.has(id));
  const pools = [...configured, ...retired].map((pool) =>
    ({ ...pool, backends: pool.backends.filter(isKept) }));
  return {
    generation, ...homesOf(asked),
    settings, pools, listeners: nextListeners(asked, pools),
  };
}

/** Where shared links live does not change as long as the instance lives: see relay-homes.ts. */
function homesOf({ settings, before }: NextRoster): { homes?: number } {
  if (before?.homes !== undefined) return { homes: before.homes };
  const isShared = settings.pools.some((pool) => pool.serverConnectionsScope === 'proxy');
  return isShared ? { homes: Math.max(1, workerCount(before?.settings ?? settings)) } : {};
}

/** Nothing of a retired pool is left, and its servers have been told to go. */
function isForgotten({ id, isRetired, backends }: RosterPool, inUse: PartsInUse): boolean {
  return isRetired && !inUse.hasClients(id)
    && backends.every((backend) => backend.isRetired && !inUse.hasLinks(backend.id));
}

/** The servers of a retired pool serve its last clients; without any, they are retired, too. */
function retire(pool: RosterPool, inUse: PartsInUse): RosterPool {
  if (!pool.isRetired || inUse.hasClients(pool.id)) return { ...pool, isRetired: true };
  return { ...pool, backends: pool.backends.map((each) => ({ ...each, isRetired: true })) };
}

/** For each server of a pool the backend that it was, retired or not. */
function findBackends(
  pool: PoolSettings, old: RosterPool | undefined,
): (RosterBackend | undefined)[] {
  const known = new Map((old?.backends ?? []).map((backend) =>
    [identityOf(backend.server, backend.redisAuth, backend.redisDb), backend]));
  return pool.servers.map((server) =>
    known.get(identityOf(server, pool.redisAuth, pool.redisDb)));
}

function configuredBackends(
  pool: PoolSettings, found: readonly (RosterBackend | undefined)[], ids: Ids, generation: number,
): RosterBackend[] {
  return pool.servers.map((server, place) => {
    const since = found[place] === undefined ? generation : found[place].since ?? 0;
    return {
      id: found[place]?.id ?? ids.next(), server,
      redisAuth: pool.redisAuth, redisDb: pool.redisDb, isRetired: false,
      ...(since > 0 ? { since } : {}),
    };
  });
}

function retiredBackends(
  backends: readonly RosterBackend[], found: ReadonlySet<number>,
): RosterBackend[] {
  return backends.filter(({ id }) => !found.has(id)).map((each) => ({ ...each, isRetired: true }));
}

/** For each backend of a pool a text that says its id and all that makes it what it is. */
export function backendIdentities({ settings, backends }: RosterPool): string[] {
  return backends.map(({ id, server, redisAuth, redisDb }) =>
    `${id} ${settings.name} ${identityOf(server, redisAuth, redisDb)}`);
}

/** However the address is spelled. */
function identityOf({ name, address }: ServerSettings, auth: string | null, db: number): string {
  const where = address.kind === 'unix' ? address.path : [address.host, address.port];
  return JSON.stringify([name, where, auth, db]);
}

function nextListeners(
  { before, settings, inUse, room }: NextRoster, pools: readonly RosterPool[],
): RosterListener[] {
  const old = before?.listeners ?? [];
  const idOf = new Map(old.map(({ key, id }) => [key, id]));
  const keys = new Set(settings.pools.map(({ listen }) => canonicalAddress(listen)));
  const left = old.filter(({ key }) => !keys.has(key));
  const [kept, dropped] = divide(left, ({ id, isRetired }) => !isRetired || inUse.isWatched(id));
  const ids = new Ids(room.listeners, old, dropped, inUse.isWatched);
  const configured = settings.pools.map(({ listen }, index): RosterListener => {
    const key = canonicalAddress(listen);
    return {
      id: idOf.get(key) ?? ids.next(), key, pool: pools[index]!.id,
      isUnix: listen.kind === 'unix', isRetired: false,
    };
  });
  return [...configured, ...kept.map((each) => ({ ...each, isRetired: true }))];
}

function divide<T>(all: readonly T[], isFirst: (each: T) => boolean): [T[], T[]] {
  return [all.filter(isFirst), all.filter((each) => !isFirst(each))];
}

/** Gives ids: the lowest that the roster before does not name, then those that are spare. */
class Ids {
  readonly reused = new Set<number>();
  readonly #named: ReadonlySet<number>;
  readonly #spare: number[];
  #next = 0;

  constructor(
    private readonly room: number, named: readonly { readonly id: number }[],
    spare: readonly { readonly id: number }[],
    private readonly isUsed: (id: number) => boolean, // asked about ids within the room only
  ) {
    this.#named = new Set(named.map(({ id }) => id));
    this.#spare = spare.map(({ id }) => id);
  }

  next(): number {
    while (this.#named.has(this.#next) || this.#isUsed()) this.#next++;
    const spare = this.#next < this.room ? undefined : this.#spare.shift();
    if (spare === undefined) return this.#next++;
    this.reused.add(spare);
    return spare;
  }

  #isUsed(): boolean {
    return this.#next < this.room && this.isUsed(this.#next);
  }
}
