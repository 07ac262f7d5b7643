/**
 * auto_eject_hosts: takes servers that keep failing out of the routes and lets them in again.
 * Decided here, once, so that no two lanes ever route one key differently.
 *
 *   live ──a lane saw server_failure_limit failures in a row──► ejected
 *    ▲                                                             │
 *    └──────────────── server_retry_timeout is over ◄──────────────┘
 *
 * New routes go to the side that nobody uses, then one word makes them valid for all pools:
 *
 *   side 0 | side 1        route_generation & 1 = the side in use
 *   in use | written ──► generation + 1 ──► every lane follows at the end of its turn
 *
 * The side that was left may be written again only when every lane has followed. While lanes go
 * from one configuration to the next (a reload, an upgrade, its roll back), rows and routes of
 * both halves are kept in step. Of two masters only the one in charge decides: take(), rest().
 */
import type { Logger } from '../base/log.js';
import type { RosterBackend, RosterPool } from '../config/roster.js';
import { Backend, Superblock } from '../tables/columns.gen.js';
import type { Generation } from './generation.js';
import type { Instance } from './instance.js';
import { backendWord, liveServers, writePoolRoute } from './pool-rows.js';

/** How soon to look again whether all lanes have followed. */
const FOLLOW_EVERY_MS = 10;

export interface EjectionContext {
  readonly instance: Instance;
  readonly log: Logger;
}

/** A server that some watched generation may eject. */
interface Server {
  readonly id: number;
  readonly pool: RosterPool; // as the newest generation has it
  readonly name: string;
  /** Failures that had been counted, by lane, when the server was let in again: they are spent. */
  readonly spent: Map<number, number>;
  returnsAt: number; // monotonic ms, 0 = live
}

interface Watched {
  readonly generation: Generation;
  readonly routed: ReadonlyMap<number, RosterPool>; // by id of a server that it routes to
  readonly written: Map<number, [string, string]>; // by pool: servers live, as each side has it
}

export class Ejection {
  #watched: Watched[] = [];
  #servers = new Map<number, Server>(); // by id
  #isInCharge = false;
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly context: EjectionContext) {}

  /**
   * The configurations that lanes use or are about to use: the present one first and, while one
   * takes over from the other, the second. No lane may be using the half of one that is new here,
   * unless this master is not in charge.
   */
  watch(generations: readonly Generation[]): void {
    const before = this.#watched;
    this.#watched = generations.map((generation) =>
      before.find((each) => each.generation.roster.generation === generation.roster.generation)
        ?? { generation, routed: routedBy(generation), written: new Map() });
    this.#servers = this.#serversOf(generations);
    if (!this.#isInCharge) return;
    for (const watched of this.#watched) if (!before.includes(watched)) this.#rewrite(watched);
    this.look();
  }

  /**
   * From now on this master decides. What is ejected now is read from the rows of the generation
   * watched first; a lane's failures before this moment have been judged.
   */
  take(): void {
    const first = this.#watched[0];
    if (this.#isInCharge || first === undefined) return;
    this.#isInCharge = true;
    for (const server of this.#servers.values()) this.#remember(first, server);
    for (const watched of this.#watched) {
      watched.written.clear(); // a predecessor may have died between rows and routes
      for (const server of this.#servers.values()) this.#writeState(watched, server);
    }
    this.look();
  }

  /** From now on another master decides, or nobody. */
  rest(): void {
    this.#isInCharge = false;
    this.#setTimer(Infinity);
  }

  /** To be called when a lane rang, and by its own timer: ejects, re-admits, publishes. */
  look(): void {
    if (!this.#isInCharge) return;
    const now = monotonicMs();
    for (const server of this.#servers.values()) {
      if (server.returnsAt !== 0 && server.returnsAt <= now) this.#readmit(server);
      if (server.returnsAt !== 0 || !server.pool.settings.autoEjectHosts) continue;
      if (this.#hasFailed(server)) this.#eject(server, now);
    }
    const isPending = this.#publish();
    this.#setTimer(isPending ? now + FOLLOW_EVERY_MS : this.#nextReturn());
  }

  close(): void {
    this.rest();
    this.#watched = [];
    this.#servers.clear();
  }

  #serversOf(generations: readonly Generation[]): Map<number, Server> {
    const servers = new Map<number, Server>();
    for (const { roster } of generations) {
      for (const pool of roster.pools) {
        for (const { id, server: { name } } of activeBackends(pool)) {
          const known = this.#servers.get(id);
          const isSame = known?.name === name && known.pool.settings.name === pool.settings.name;
          const spent = isSame ? known.spent : new Map<number, number>();
          servers.set(id, { id, pool, name, spent, returnsAt: isSame ? known.returnsAt : 0 });
        }
      }
    }
    return servers;
  }

  /** One lane must have seen them all: failures of different lanes are not in a row. */
  #hasFailed({ id, pool, spent }: Server): boolean {
    const { counters } = this.context.instance;
    return counters.lanes.some((lane) => {
      const failures = counters.failures(lane, id);
      const old = spent.get(lane.row) ?? 0;
      if (failures < old) spent.delete(lane.row); // a good reply came in between
      return failures - (failures < old ? 0 : old) >= pool.settings.serverFailureLimit;
    });
  }

  #eject(server: Server, now: number): void {
    const { segment } = this.context.instance;
    const { words, doubles } = segment.shared;
    const { settings } = server.pool;
    const forMs = settings.serverRetryTimeoutMs;
    server.returnsAt = now + Math.max(1, forMs);
    for (const watched of this.#watched) {
      if (!watched.routed.has(server.id)) continue;
      const at = backendWord(segment, watched.generation.half, server.id);
      words[at + Backend.Ejections]!++;
      doubles[at / 2 + Backend.EjectedAt] = Date.now() * 1000;
      this.#writeState(watched, server);
    }
    this.context.log.warn(
      { event: 'server_ejected', pool: settings.name, server: server.name, forMs },
      `pool ${settings.name}: server ${server.name} is ejected for ${forMs} ms after ` +
      `${settings.serverFailureLimit} failures in a row`);
  }

  #readmit(server: Server): void {
    server.returnsAt = 0;
    this.#spend(server, 0);
    for (const watched of this.#watched) this.#writeState(watched, server);
    const { name } = server.pool.settings;
    this.context.log.info({ event: 'server_readmitted', pool: name, server: server.name },
      `pool ${name}: server ${server.name} is tried again`);
  }

  /** Failures counted until now, where there are at least `least`, eject nobody any more. */
  #spend({ id, spent }: Server, least: number): void {
    const { counters } = this.context.instance;
    for (const lane of counters.lanes) {
      const failures = counters.failures(lane, id);
      if (failures >= least) spent.set(lane.row, failures);
    }
  }

  /** Takes over what another master has decided. */
  #remember({ generation, routed }: Watched, server: Server): void {
    if (!routed.has(server.id)) return;
    const { segment } = this.context.instance;
    const at = backendWord(segment, generation.half, server.id);
    const isLive = segment.shared.words[at + Backend.Live] !== 0;
    const untilUs = segment.shared.doubles[at / 2 + Backend.EjectedUntilUs]!;
    server.returnsAt = isLive ? 0 : Math.max(1, untilUs / 1000);
    if (isLive) this.#spend(server, server.pool.settings.serverFailureLimit);
  }

  /** A pool that ejects no longer has all its servers, whatever the other configuration says. */
  #writeState({ generation, routed }: Watched, server: Server): void {
    const pool = routed.get(server.id);
    if (pool === undefined) return;
    const { segment } = this.context.instance;
    const { words, doubles } = segment.shared;
    const at = backendWord(segment, generation.half, server.id);
    const isLive = server.returnsAt === 0 || !pool.settings.autoEjectHosts;
    words[at + Backend.Live] = isLive ? 1 : 0;
    doubles[at / 2 + Backend.EjectedUntilUs] = isLive ? 0 : server.returnsAt * 1000;
  }

  /** Makes a half that no lane uses yet like the one that is in use. */
  #rewrite(watched: Watched): void {
    const { segment } = this.context.instance;
    const { generation, written } = watched;
    for (const server of this.#servers.values()) this.#writeState(watched, server);
    for (const pool of generation.roster.pools) {
      const live = liveServers(segment, generation.half, pool);
      for (const side of [0, 1]) writePoolRoute(segment, generation.half, pool, side, live);
      written.set(pool.id, [keyOf(live), keyOf(live)]);
    }
  }

  /** Returns true while lanes still use the side that should be written. */
  #publish(): boolean {
    const { instance } = this.context;
    const { words } = instance.segment.shared;
    const current = Atomics.load(words, Superblock.RouteGeneration);
    const side = current & 1;
    if (!this.#routes().some(({ live, keys }) => keys[side] !== keyOf(live))) return false;
    const isBehind = (lane: number): boolean =>
      instance.isServed(lane) && instance.laneRouteGeneration(lane) !== current;
    if (instance.lanes.some(isBehind)) return true;
    for (const { half, pool, live, keys } of this.#routes()) {
      if (keys[side ^ 1] === keyOf(live)) continue;
      writePoolRoute(instance.segment, half, pool, side ^ 1, live);
      keys[side ^ 1] = keyOf(live);
    }
    // SYNC POINT route-generation: lanes read this word before they look at the routes.
    Atomics.store(words, Superblock.RouteGeneration, (current + 1) | 0);
    return false;
  }

  /** Every watched pool with what is live by its rows, and by each of its sides. */
  #routes(): { half: number; pool: RosterPool; live: boolean[]; keys: [string, string] }[] {
    const { segment } = this.context.instance;
    return this.#watched.flatMap(({ generation: { half, roster }, written }) =>
      roster.pools.map((pool) => {
        const keys = written.get(pool.id) ?? ['', ''];
        written.set(pool.id, keys);
        return { half, pool, live: liveServers(segment, half, pool), keys };
      }));
  }

  #nextReturn(): number {
    let next = Infinity;
    for (const { returnsAt } of this.#servers.values()) {
      if (returnsAt !== 0) next = Math.min(next, returnsAt);
    }
    return next;
  }

  #setTimer(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (at === Infinity) return;
    const delay = Math.max(1, Math.min(2 ** 31 - 1, Math.ceil(at - monotonicMs())));
    this.#timer = setTimeout(() => this.look(), delay);
  }
}

function activeBackends({ backends }: RosterPool): RosterBackend[] {
  return backends.filter(({ isRetired }) => !isRetired);
}

function routedBy({ roster }: Generation): ReadonlyMap<number, RosterPool> {
  return new Map(roster.pools.flatMap((pool) =>
    activeBackends(pool).map(({ id }) => [id, pool] as const)));
}

function keyOf(live: readonly boolean[]): string {
  return live.map((isLive) => (isLive ? '1' : '0')).join('');
}

/** CLOCK_MONOTONIC, the same in every master. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
