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
 * The side that was left may be written again only when every lane has followed.
 */
import type { Logger } from '../base/log.js';
import type { PoolSettings } from '../config/settings.js';
import { Backend, BackendCounter, Superblock, TableNumber } from '../tables/columns.gen.js';
import type { Generation } from './generation.js';
import type { Instance } from './instance.js';
import { liveServers, writePoolRoute } from './pool-rows.js';

/** How soon to look again whether all lanes have followed. */
const FOLLOW_EVERY_MS = 10;

export interface EjectionContext {
  readonly instance: Instance;
  readonly log: Logger;
  /** Lanes with a living worker, of all generations. */
  readonly lanes: () => readonly number[];
}

interface Server {
  readonly row: number;
  readonly name: string;
  /** Failures that had been counted, by lane, when the server was let in again: they are spent. */
  spent: Map<number, number>;
  returnsAt: number; // monotonic ms, 0 = live
}

interface Watched {
  readonly pool: PoolSettings;
  readonly row: number;
  readonly half: number;
  readonly servers: readonly Server[];
  readonly written: [string, string]; // which servers are live, as each side has it
}

export class Ejection {
  #pools: Watched[] = [];
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly context: EjectionContext) {}

  /** Begins with a generation whose rows have just been written, all servers live. */
  watch({ half, settings, firstPool, firstBackend }: Generation): void {
    let backend = firstBackend;
    settings.pools.forEach((pool, index) => {
      const first = backend;
      backend += pool.servers.length;
      const all = '1'.repeat(pool.servers.length);
      this.#pools.push({
        pool, half, row: firstPool + index, written: [all, all],
        servers: pool.servers.map(({ name }, place) =>
          ({ row: first + place, name, spent: new Map(), returnsAt: 0 })),
      });
    });
  }

  /** Ends with a generation whose workers have ended. */
  forget(generation: Generation): void {
    this.#pools = this.#pools.filter(({ half }) => half !== generation.half);
  }

  /** To be called when a lane rang, and by its own timer: ejects, re-admits, publishes. */
  look(): void {
    const now = performance.now();
    for (const watched of this.#pools) {
      if (!watched.pool.autoEjectHosts) continue;
      for (const server of watched.servers) {
        if (server.returnsAt !== 0 && server.returnsAt <= now) this.#readmit(watched, server);
        if (server.returnsAt !== 0) continue;
        if (this.#hasFailed(watched, server)) this.#eject(watched, server, now);
      }
    }
    const isPending = this.#publish();
    this.#setTimer(isPending ? now + FOLLOW_EVERY_MS : this.#nextReturn());
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#pools = [];
  }

  /** One lane must have seen them all: failures of different lanes are not in a row. */
  #hasFailed({ pool, half }: Watched, server: Server): boolean {
    const { counters } = this.context.instance;
    return counters.lanes.some((lane) => {
      if (lane.half !== half) return false;
      const failures = this.#failures(lane.views.doubles, server.row);
      const spent = server.spent.get(lane.row) ?? 0;
      if (failures < spent) server.spent.delete(lane.row); // a good reply came in between
      return failures - (failures < spent ? 0 : spent) >= pool.serverFailureLimit;
    });
  }

  #failures(doubles: Float64Array, row: number): number {
    const { tableBase } = this.context.instance.segment.plan;
    const base = tableBase[TableNumber.BackendCounter]! / 8;
    return doubles[base + row * BackendCounter.RowDoubles + BackendCounter.Failures]!;
  }

  #eject({ pool }: Watched, server: Server, now: number): void {
    const { log, instance } = this.context;
    const { words, doubles } = instance.segment.shared;
    const at = instance.segment.wordBase(TableNumber.Backend) + server.row * Backend.RowWords;
    server.returnsAt = now + Math.max(1, pool.serverRetryTimeoutMs);
    words[at + Backend.Live] = 0;
    words[at + Backend.Ejections]!++;
    doubles[at / 2 + Backend.EjectedAt] = Date.now() * 1000;
    doubles[at / 2 + Backend.EjectedUntilUs] = monotonicUs() + pool.serverRetryTimeoutMs * 1000;
    const forMs = pool.serverRetryTimeoutMs;
    log.warn({ event: 'server_ejected', pool: pool.name, server: server.name, forMs },
      `pool ${pool.name}: server ${server.name} is ejected for ${forMs} ms after ` +
      `${pool.serverFailureLimit} failures in a row`);
  }

  #readmit({ pool, half }: Watched, server: Server): void {
    const { log, instance } = this.context;
    const at = instance.segment.wordBase(TableNumber.Backend) + server.row * Backend.RowWords;
    server.returnsAt = 0;
    for (const lane of instance.counters.lanes) {
      if (lane.half !== half) continue;
      server.spent.set(lane.row, this.#failures(lane.views.doubles, server.row));
    }
    instance.segment.shared.words[at + Backend.Live] = 1;
    instance.segment.shared.doubles[at / 2 + Backend.EjectedUntilUs] = 0;
    log.info({ event: 'server_readmitted', pool: pool.name, server: server.name },
      `pool ${pool.name}: server ${server.name} is tried again`);
  }

  /** Returns true while lanes still use the side that should be written. */
  #publish(): boolean {
    const { instance } = this.context;
    const { segment } = instance;
    const { words } = segment.shared;
    const current = words[Superblock.RouteGeneration]!;
    const side = current & 1;
    const states = this.#pools.map(({ row }) => liveServers(segment, row));
    const isChanged = this.#pools.some(({ written }, i) => written[side] !== keyOf(states[i]!));
    if (!isChanged) return false;
    const isBehind = (lane: number): boolean => instance.laneRouteGeneration(lane) !== current;
    if (this.context.lanes().some(isBehind)) return true;
    this.#pools.forEach(({ pool, row, written }, i) => {
      const key = keyOf(states[i]!);
      if (written[side ^ 1] === key) return;
      writePoolRoute(segment, row, pool, side ^ 1, states[i]!);
      written[side ^ 1] = key;
    });
    // SYNC POINT route-generation: lanes read this word before they look at the routes.
    Atomics.store(words, Superblock.RouteGeneration, (current + 1) | 0);
    return false;
  }

  #nextReturn(): number {
    let next = Infinity;
    for (const { servers } of this.#pools) {
      for (const { returnsAt } of servers) if (returnsAt !== 0) next = Math.min(next, returnsAt);
    }
    return next;
  }

  #setTimer(at: number): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (at === Infinity) return;
    const delay = Math.max(1, Math.min(2 ** 31 - 1, Math.ceil(at - performance.now())));
    this.#timer = setTimeout(() => this.look(), delay);
  }
}

function keyOf(live: readonly boolean[]): string {
  return live.map((isLive) => (isLive ? '1' : '0')).join('');
}

/** CLOCK_MONOTONIC, as the lanes' now_us. */
function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
