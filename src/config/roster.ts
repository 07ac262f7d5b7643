/**
 * One generation of the configuration with the ids that its parts have in shared memory.
 *
 * A pool or a server that stays over a reload keeps its id; one that is no longer configured stays
 * in the roster as retired until nothing of it is left, so that what its clients have under way
 * can be finished. The master writes the roster as JSON into the conf region; workers read it.
 *
 *   settings of the file ──┐
 *                          ├─► roster N+1 (src/master/roster-keeper.ts) ──JSON──► workers
 *   roster N, what is used ┘
 */
import type { PoolSettings, ServerSettings, Settings } from './settings.js';

export interface Roster {
  readonly generation: number; // counts reloads and upgrades of an instance, from 0
  readonly homes?: number; // lanes among which shared links are spread; absent: none was ever shared
  readonly settings: Settings;
  readonly pools: readonly RosterPool[]; // those of the settings, in their order; then retired ones
  readonly listeners: readonly RosterListener[]; // likewise
}

export interface RosterPool {
  readonly id: number; // session.pool, link.pool; row of pool_counter; row within a half of pool
  readonly settings: PoolSettings; // of a retired pool: the last it had
  readonly isRetired: boolean; // its sessions end as soon as they have nothing under way
  /** Those of settings.servers, in their order (the place that routes speak of), then retired ones. */
  readonly backends: readonly RosterBackend[];
}

/**
 * Its identity is pool, name, address, password and database: when one of them changes it is
 * another backend, for the connections of the old one are of no use.
 */
export interface RosterBackend {
  readonly id: number; // link.backend; row of backend_counter; row within a half of backend
  readonly server: ServerSettings;
  readonly redisAuth: string | null;
  readonly redisDb: number;
  readonly isRetired: boolean; // takes no new requests; its links close when nothing is owed
  readonly since?: number; // the generation in which it got its id; absent: 0
}

/** Its identity is its canonical address. */
export interface RosterListener {
  readonly id: number; // row of the lane's listener table; its descriptor follows from it
  readonly key: string; // canonicalAddress(listen)
  readonly pool: number; // id
  readonly isUnix: boolean;
  readonly isRetired: boolean; // lanes stop watching it
}
