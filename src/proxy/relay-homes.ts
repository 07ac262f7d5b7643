/**
 * Where a server's connection lives, when all lanes share it: its home lane is its id modulo the
 * number of lanes that there were when links were first shared, so that no reload moves it. In
 * another lane the link is a relay (native/relay.h).
 *
 * During a reload lanes follow one by one: a relay to a server that its home lane does not know yet
 * waits for it, and requests wait in its queue.
 */
import type { Roster, RosterBackend, RosterPool } from '../config/roster.js';
import { LaneState } from '../shm/codes.js';
import type { Segment } from '../shm/segment.js';
import { Lane, TableNumber } from '../tables/columns.gen.js';

/** LinkEnd.home of a link that has a connection of its own. */
export const OWN = -1;

export interface RelayHomes {
  /** The lane that has the connection, OWN: this one. */
  homeOf(pool: RosterPool, backend: RosterBackend): number;
  /** Whether a lane serves, with a configuration that has the server. */
  isReady(home: number, backend: number): boolean;
}

/** Of one lane on its own: every link is its own. */
export const NO_HOMES: RelayHomes = { homeOf: () => OWN, isReady: () => false };

export function relayHomes(segment: Segment, roster: Roster, lane: number): RelayHomes {
  const { words } = segment.shared;
  const table = segment.wordBase(TableNumber.Lane);
  const since = new Map(roster.pools.flatMap(({ backends }) =>
    backends.map((backend) => [backend.id, backend.since ?? 0] as const)));
  return {
    homeOf({ settings }, { id }) {
      if (settings.serverConnectionsScope !== 'proxy' || roster.homes === undefined) return OWN;
      const home = id % roster.homes;
      return home === lane ? OWN : home;
    },
    isReady(home, backend) {
      const at = table + home * Lane.RowWords;
      const state = Atomics.load(words, at + Lane.State);
      if (state !== LaneState.Serving && state !== LaneState.Draining) return false;
      return Atomics.load(words, at + Lane.Generation) >= (since.get(backend) ?? 0);
    },
  };
}
