/**
 * How large the tables of an instance must be, from its first configuration.
 *
 * Tables cannot grow while lanes run, and a reload needs a second set of rows beside the first, so
 * instance tables have two halves, and each half has room for a configuration twice as large as
 * the one at the start:
 *
 *            half 0: generations 0, 2, 4 …      half 1: generations 1, 3, 5 …
 *   pools   | 0 .. pools.half - 1              | pools.half .. 2 * pools.half - 1 |
 *   lanes   | 0 .. lanesHalf - 1               | lanesHalf ..                     |
 *   …
 */
import { availableParallelism } from 'node:os';
import { OperatorError } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { commands } from '../protocol/command-table.js';
import { distributionOf } from '../routing/distribution.js';
import { routeWordsMax } from '../routing/route-table.js';
import { LANES_MAX, type Capacities } from '../shm/plan.js';
import { placeOf } from './place.js';

/** Descriptors below belong to the process; at least 253 of them stay free for passing. */
export const FD_BASE = 1024;
export const WORKERS_MAX = LANES_MAX / 2;

const SESSIONS_MAX = 65_536 + 1; // rows; row 0 is nobody's
const SESSIONS_MIN = 16;
const REQUESTS = 65_536;
const ARENA_BYTES = 4 << 20;
const GROWTH = 2;

/** Rows, words and bytes of one half. */
export interface Halves {
  readonly lanes: number;
  readonly pools: number;
  readonly backends: number;
  readonly routeWords: number;
  readonly confBytes: number;
}

export interface Sizes {
  readonly capacities: Capacities;
  readonly half: Halves;
}

export function workerCount(settings: Settings): number {
  const { workerProcesses } = settings.global;
  if (workerProcesses !== 'auto') return workerProcesses;
  return Math.min(availableParallelism(), WORKERS_MAX);
}

/** What one half needs for `settings`, without room for growth. */
export function needsOf(settings: Settings, confBytes: number): Halves {
  return {
    lanes: workerCount(settings),
    pools: settings.pools.length,
    backends: settings.pools.reduce((sum, pool) => sum + pool.servers.length, 0),
    routeWords: settings.pools.reduce((sum, pool) => sum + 2 * routeWordsOf(pool), 0),
    confBytes,
  };
}

/** Words of one route generation of a pool. */
export function routeWordsOf(pool: Settings['pools'][number]): number {
  return routeWordsMax(pool.servers.length, distributionOf(pool.distribution)!);
}

/** `openFilesMax`: the limit of open files that workers have. */
export function sizesFor(settings: Settings, confBytes: number, openFilesMax: number): Sizes {
  const needs = needsOf(settings, confBytes);
  if (needs.lanes > WORKERS_MAX) throw tooMany(settings, needs.lanes);
  const half: Halves = {
    lanes: Math.min(WORKERS_MAX, Math.max(needs.lanes, availableParallelism())),
    pools: GROWTH * needs.pools + 8,
    backends: GROWTH * needs.backends + 32,
    routeWords: GROWTH * needs.routeWords + 65_536,
    confBytes: alignUp(GROWTH * needs.confBytes + 65_536),
  };
  // One set of links for RESP2 and one for RESP3. A row's descriptor is FD_BASE + its number,
  // links behind sessions, row 0 of each included.
  const links = 1 + GROWTH * 2 * linksOf(settings) + 32;
  const sessions = Math.min(SESSIONS_MAX, openFilesMax - FD_BASE - links);
  if (sessions < SESSIONS_MIN) {
    throw tooFewFiles(settings, openFilesMax, FD_BASE + links + SESSIONS_MIN);
  }
  return {
    half,
    capacities: {
      lanes: 2 * half.lanes,
      pools: 2 * half.pools,
      backends: 2 * half.backends,
      routeWords: 2 * half.routeWords,
      confBytes: 2 * half.confBytes,
      commands: commands.length,
      sessions,
      links,
      requests: REQUESTS,
      arenaBytes: ARENA_BYTES,
      poolBytesMax: settings.global.shmMaxBytes,
    },
  };
}

/** What of a later configuration does not fit this instance; empty when all does. */
export function misfits(
  needs: Halves, half: Halves, settings: Settings, linksMax: number,
): string[] {
  const lines: string[] = [];
  const check = (what: string, needed: number, room: number): void => {
    if (needed <= room) return;
    lines.push(`${settings.file}: ${needed} ${what} do not fit, ` +
      `this instance was started with room for ${room}: restart to make more`);
  };
  check('workers', needs.lanes, half.lanes);
  check('pools', needs.pools, half.pools);
  check('servers', needs.backends, half.backends);
  check('words of routing tables', needs.routeWords, half.routeWords);
  check('bytes of settings', needs.confBytes, half.confBytes);
  check('links per worker', 1 + 2 * linksOf(settings), linksMax);
  return lines;
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
    [`${place}: ${count} workers, allowed: up to ${WORKERS_MAX}`]);
}

function tooFewFiles(settings: Settings, openFilesMax: number, needed: number): OperatorError {
  const place = placeOf(settings, 'max_openfiles');
  return new OperatorError('too-few-files', [
    `${place}: a worker may open ${openFilesMax} files, this configuration needs at least ` +
    `${needed}: raise max_openfiles or the limit of the shell (ulimit -n)`,
  ]);
}
