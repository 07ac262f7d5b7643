/**
 * One run: redis-benchmark against one instance, and what it cost.
 *
 * A run counts only if redis-benchmark ended well and the servers' own counters agree: every GET a
 * hit, every SET a call. (A proxy that answers nil or drops requests would look fast.)
 */
import { cpuBetween, cpuOf } from './accounting.js';
import { CellKind, type Cell } from './cells.js';
import type { Processes } from './processes.js';
import { countersOf, type Counters } from './redis.js';
import type { Instance } from './testbed.js';

/** Connections in one run of the `connect` cell; README, "short connections", says why so few. */
export const CONNECT_REQUESTS = 8000;
const CALIBRATION_SECONDS = 0.25;
const RUN_PATIENCE_MS = 120_000; // redis-benchmark waits for ever where no reply comes
const COMPLAINT = /^.*(Error from server|ERR ).*$/m;
const GUESS_RPS = 60_000; // commands a second, before the first calibration run

export interface Sample {
  readonly requests: number;
  readonly rps: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU microseconds per command: of the party (for `direct`: of Redis), of all Redis servers. */
  readonly cpuUs: number;
  readonly redisUs: number;
  /** Cores the party kept busy. */
  readonly cores: number;
}

function commandOf(cell: Cell): string[] {
  const value = 'x'.repeat(cell.data.valueBytes);
  const keys = Array.from({ length: cell.keys }, () =>
    (cell.command === 'mset' ? ['key:__rand_int__', value] : ['key:__rand_int__']));
  return [cell.command, ...keys.flat()];
}

function argumentsOf(cell: Cell, port: number, keyCount: number, requests: number): string[] {
  const shape = [
    '-h', '127.0.0.1', '-p', String(port), '-c', String(cell.clients), '-P', String(cell.pipeline),
    '-n', String(requests), '-r', String(keyCount), '-d', String(cell.data.valueBytes), '--csv',
  ];
  if (cell.kind === CellKind.Connect) shape.push('-k', '0');
  const load = cell.keys === 1 ? ['-t', cell.command] : commandOf(cell);
  return ['redis-benchmark', ...shape, ...load];
}

/** The columns of --csv: test, rps, avg, min, p50, p95, p99, max (ms). Names may hold commas. */
function numbersOf(csv: string): number[] {
  const line = csv.trim().split('\n').at(-1)!;
  return [...line.matchAll(/"([\d.]+)"/g)].slice(-7).map((match) => Number(match[1]));
}

function verify(cell: Cell, requests: number, before: Counters, after: Counters): void {
  const isRead = cell.command.endsWith('get');
  const values = requests * cell.keys;
  const misses = after.misses - before.misses;
  if (isRead && misses > 0) throw new Error(`${cell.name}: ${misses} keys were not found`);
  const done = isRead
    ? after.hits - before.hits
    : (after.calls.get(cell.command) ?? 0) - (before.calls.get(cell.command) ?? 0);
  const wanted = isRead ? values : requests;
  if (done < wanted) {
    throw new Error(`${cell.name}: the servers saw ${done} of ${wanted} ${cell.command}s`);
  }
}

/** Runs `requests` commands of a cell. Throws when redis-benchmark or the counters object. */
export async function measure(
  processes: Processes, instance: Instance, cell: Cell, keyCount: number, requests: number,
): Promise<Sample> {
  const counted = await countersOf(instance.servers);
  const partyBefore = cpuOf([instance.root]);
  const redisBefore = cpuOf(instance.serverRoots);
  const output = await processes.run(
    argumentsOf(cell, instance.port, keyCount, requests), RUN_PATIENCE_MS,
  );
  const partyNs = cpuBetween(partyBefore, cpuOf([instance.root]));
  const redisNs = cpuBetween(redisBefore, cpuOf(instance.serverRoots));
  const complaint = COMPLAINT.exec(output.stderr + output.stdout)?.[0];
  const [rps, , , p50Ms, , p99Ms] = numbersOf(output.stdout);
  if (output.code !== 0 || complaint !== undefined || !(rps! > 0)) {
    const why = complaint ?? output.stderr.trim().slice(-200);
    throw new Error(`${cell.name}: redis-benchmark ended with ${output.code}: ${why}`);
  }
  verify(cell, requests, counted, await countersOf(instance.servers));
  const cpuUs = partyNs / 1000 / requests;
  return {
    requests, rps: rps!, p50Ms: p50Ms!, p99Ms: p99Ms!, cpuUs, redisUs: redisNs / 1000 / requests,
    cores: (cpuUs * rps!) / 1e6,
  };
}

/** Whole pipelines of every client, so that nothing is sent beyond the count. */
function rounded(cell: Cell, requests: number): number {
  const round = cell.clients * cell.pipeline;
  return Math.max(1, Math.round(requests / round)) * round;
}

/** How many requests last about `seconds`; also warms the instance up. */
export async function calibrate(
  processes: Processes, instance: Instance, cell: Cell, keyCount: number, seconds: number,
): Promise<number> {
  if (cell.kind === CellKind.Connect) return CONNECT_REQUESTS;
  const first = GUESS_RPS * CALIBRATION_SECONDS * Math.min(8, cell.pipeline) / Math.sqrt(cell.keys);
  const guess = await measure(processes, instance, cell, keyCount, rounded(cell, first));
  return rounded(cell, guess.rps * seconds);
}
