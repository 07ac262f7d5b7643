/**
 * How large the tables of an instance must be, from its first configuration.
 *
 * Tables cannot grow while lanes run, so there is room for a configuration twice as large as the
 * one at the start. What the configuration itself needs lies in two halves, because the rows of
 * the next one are written beside those of the present one; what lanes have is there once:
 *
 *            half 0: generations 0, 2, 4 …      half 1: generations 1, 3, 5 …
 *   pools   | 0 .. half.pools - 1              | half.pools .. 2 * half.pools - 1 |
 *   …
 *   lanes   | 0 .. LANES_MAX - 1: address space, memory when the lane is opened    |
 *
 * A part's id is its row within a half. The last id of pools and of backends is given to nobody:
 * in its rows lanes keep what parts have counted whose id has become another's.
 */
import { OperatorError } from '../base/errors.js';
import type { Roster } from '../config/roster.js';
import type { Settings } from '../config/settings.js';
import { commands } from '../protocol/command-table.js';
import { distributionOf } from '../routing/distribution.js';
import { routeWordsMax } from '../routing/route-table.js';
import { LANES_MAX, type Capacities } from '../shm/plan.js';
import { placeOf } from './place.js';
import type { Room } from './roster-keeper.js';
import { workerCount } from './worker-count.js';

/** Descriptors below belong to the process; at least 253 of them stay free for passing. */
export const FD_BASE = 1024;

const SESSIONS_MAX = 65_536 + 1; // rows; row 0 is nobody's
const SESSIONS_MIN = 16;
const REQUESTS = 65_536;
/** Rows of command_counter: later versions may know more commands. */
const COMMANDS_MAX = 512;
const ARENA_BYTES = 4 << 20;
const GROWTH = 2;
/** Of pools and of backends, each. */
const IDS_OF_NOBODY = 1;
/** The doorbell's descriptor lies behind those of rows, and behind it those of all lanes. */
const DOORBELLS = 1 + LANES_MAX;

/** Rows, words and bytes of one half. */
export interface Halves {
  readonly pools: number;
  readonly backends: number;
  readonly routeWords: number;
  readonly confBytes: number;
}

export function halvesOf(capacities: Capacities): Halves {
  return {
    pools: capacities.pools / 2,
    backends: capacities.backends / 2,
    routeWords: capacities.routeWords / 2,
    confBytes: capacities.confBytes / 2,
  };
}

export function roomOf(capacities: Capacities): Room {
  return {
    pools: capacities.pools / 2 - IDS_OF_NOBODY,
    backends: capacities.backends / 2 - IDS_OF_NOBODY,
    listeners: capacities.pools,
  };
}

/** What one half needs for `roster`, without room for growth. `confBytes`: of it as it is stored. */
export function needsOf(roster: Roster, confBytes: number): Halves {
  return {
    pools: IDS_OF_NOBODY + idsOf(roster.pools),
    backends: IDS_OF_NOBODY + idsOf(roster.pools.flatMap(({ backends }) => backends)),
    routeWords: roster.pools.reduce((sum, pool) => sum + 2 * routeWordsOf(pool.settings), 0),
    confBytes,
  };
}

/** Words of one route generation of a pool. */
export function routeWordsOf(pool: Settings['pools'][number]): number {
  return routeWordsMax(pool.servers.length, distributionOf(pool.distribution)!);
}

/** `openFilesMax`: the limit of open files that workers have. */
export function sizesFor(roster: Roster, confBytes: number, openFilesMax: number): Capacities {
  const { settings } = roster;
  const needs = needsOf(roster, confBytes);
  if (workerCount(settings) > LANES_MAX) throw tooMany(settings, workerCount(settings));
  const half: Halves = {
    pools: GROWTH * needs.pools + 8,
    backends: GROWTH * needs.backends + 32,
    routeWords: GROWTH * needs.routeWords + 65_536,
    confBytes: alignUp(GROWTH * needs.confBytes + 65_536),
  };
  // One set of links for RESP2 and one for RESP3. Each row has a descriptor: FD_BASE + its number,
  // links behind sessions and listeners behind those, row 0 of each included.
  const links = 1 + GROWTH * 2 * linksOf(settings) + 32;
  const others = FD_BASE + links + 2 * half.pools + DOORBELLS;
  const sessions = Math.min(SESSIONS_MAX, openFilesMax - others);
  if (sessions < SESSIONS_MIN) throw tooFewFiles(settings, openFilesMax, others + SESSIONS_MIN);
  return {
    lanes: LANES_MAX,
    pools: 2 * half.pools,
    backends: 2 * half.backends,
    routeWords: 2 * half.routeWords,
    confBytes: 2 * half.confBytes,
    commands: COMMANDS_MAX,
    sessions,
    links,
    requests: REQUESTS,
    arenaBytes: ARENA_BYTES,
    poolBytesMax: settings.global.shmMaxBytes,
  };
}

/** Whether this program can use tables that another one has made: throws OperatorError. */
export function checkSizes(
  settings: Settings, capacities: Capacities, openFilesMax: number,
): void {
  const { sessions, links, pools: listeners } = capacities;
  const needed = FD_BASE + sessions + links + listeners + DOORBELLS;
  if (openFilesMax < needed) throw tooFewFiles(settings, openFilesMax, needed);
  if (commands.length <= capacities.commands) return;
  throw new OperatorError('too-many-commands', [`shared memory: ${commands.length} commands do ` +
    `not fit, there is room for ${capacities.commands}: a full restart is needed`]);
}

/** What of a later roster does not fit this instance; empty when all does. */
export function misfits(roster: Roster, confBytes: number, capacities: Capacities): string[] {
  const { settings } = roster;
  const needs = needsOf(roster, confBytes);
  const half = halvesOf(capacities);
  const room = roomOf(capacities);
  const lines: string[] = [];
  const check = (what: string, needed: number, most: number): void => {
    if (needed <= most) return;
    lines.push(`${settings.file}: ${needed} ${what} do not fit, ` +
      `this instance was started with room for ${most}: restart to make more`);
  };
  check('workers', workerCount(settings), capacities.lanes);
  check('pools', needs.pools - IDS_OF_NOBODY, room.pools);
  check('servers', needs.backends - IDS_OF_NOBODY, room.backends);
  check('addresses to listen on', idsOf(roster.listeners), room.listeners);
  check('words of routing tables', needs.routeWords, half.routeWords);
  check('bytes of settings', needs.confBytes, half.confBytes);
  check('links per worker', 1 + 2 * linksOf(settings), capacities.links);
  return lines;
}

/** Rows up to the highest id. */
function idsOf(parts: readonly { readonly id: number }[]): number {
  return parts.reduce((most, { id }) => Math.max(most, id + 1), 0);
}

function linksOf(settings: Settings): number {
  return settings.pools.reduce((sum, { serverConnections, servers }) =>
    sum + serverConnections * servers.length, 0);
}

function alignUp(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function tooMany(settings: Settings, count: number): OperatorError {
  const place = placeOf(settings, 'worker_processes');
  return new OperatorError('too-many-workers',
    [`${place}: ${count} workers, allowed: up to ${LANES_MAX}`]);
}

function tooFewFiles(settings: Settings, openFilesMax: number, needed: number): OperatorError {
  const place = placeOf(settings, 'max_openfiles');
  return new OperatorError('too-few-files', [
    `${place}: a worker may open ${openFilesMax} files, this configuration needs at least ` +
    `${needed}: raise max_openfiles or the limit of the shell (ulimit -n)`,
  ]);
}
