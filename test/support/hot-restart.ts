/**
 * What operators do to a running Baton, each step done when shared memory, pid files and processes
 * say that it is done:
 *
 *   reload()   HUP        every lane follows a new configuration, the old workers are gone
 *   upgrade()  USR2       every lane is served by workers of a new master, the old ones are frozen
 *   commit()   QUIT       to the old master: nobody but the new family is left
 *   rollBack() HUP, QUIT  every lane is the old master's again, the new one is gone
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { OwnerState, WorkerState } from '../../src/shm/codes.js';
import type { Baton } from './baton.js';
import type { ExactLoad } from './exact-load.js';
import type { WorkerRow } from './memory-view.js';
import { descriptorsOf, isAlive, titleOf, treeOf } from './processes.js';
import type { Redis } from './redis.js';
import { Hopeless, waitFor } from './wait-for.js';

const PATIENCE_MS = 60_000; // for a whole step on a machine that does other things too
const STEADY_ROUNDS = 3;
const POLL_MS = 15; // looking costs time that Baton needs
const HELD_PATIENCE_MS = 3000; // keepers look only now and then whether they are still needed

/** Rewrites the configuration by replacing text, which must be there. */
export function edit(baton: Baton, from: string | RegExp, to: string): void {
  const text = readFileSync(baton.confFile, 'utf8');
  const next = text.replace(from, to);
  if (next === text) throw new Error(`${String(from)} is not in:\n${text}`);
  writeFileSync(baton.confFile, next);
}

/** How often an event has been logged. */
export function count(baton: Baton, event: string): number {
  return baton.log.split(`"event":"${event}"`).length - 1;
}

/** Whether every lane is served by a worker of this master. */
export function isServedBy(baton: Baton, master: number): boolean {
  const lanes = baton.lanes();
  return lanes.length > 0 && lanes.every(({ owner, ownerState }) => owner !== null
    && owner.masterPid === master && owner.state === WorkerState.Serving
    && ownerState === OwnerState.Serving && isAlive(owner.pid));
}

/** Whether workers that serve are all there are, beside the standbys that there should be. */
export function isAlone(baton: Baton): boolean {
  const standbys = Number(baton.options.global?.worker_standby ?? 0);
  const living = baton.crew().filter(({ state }) => state !== WorkerState.Ended);
  const serving = living.filter(({ state, lane }) => state === WorkerState.Serving && lane >= 0);
  return living.length === baton.lanes().length + standbys
    && serving.length === baton.lanes().length && standbysOf(baton).length === standbys;
}

/** Workers that are warm and for no lane yet. */
export function standbysOf(baton: Baton): WorkerRow[] {
  return baton.crew().filter(({ state, lane }) => lane < 0 && state === WorkerState.Ready);
}

function describe(baton: Baton): string {
  const crew = baton.crew().map(({ row, state, pid, masterPid, lane, error }) =>
    `row ${row}: pid ${pid} of ${masterPid}, lane ${lane}, state ${state}, error ${error}`);
  const lanes = baton.lanes().map(({ lane, ownerRow, ownerState }) =>
    `lane ${lane}: owner ${ownerRow}/${ownerState}`);
  const pids = `pid file ${baton.pidIn(baton.pidFile)}, oldbin ${baton.pidIn(baton.oldPidFile)}`;
  return [pids, ...lanes, ...crew, baton.log.slice(-3000)].join('\n');
}

/** waitFor, with what memory, pid files and the log say when it does not come. */
export async function reached(
  baton: Baton, what: string, condition: () => boolean, patienceMs = PATIENCE_MS,
): Promise<void> {
  await waitFor(what, condition, patienceMs, POLL_MS).catch((error: Error) => {
    throw new Error(`${error.message}\n${describe(baton)}`);
  });
}

/** HUP; until it is over. `refused`: the event that says why it is not done. */
export async function reload(
  baton: Baton, refused?: 'reload_refused' | 'reload_failed',
): Promise<void> {
  const event = refused ?? 'drained';
  const before = count(baton, event);
  const failures = (): number => count(baton, 'reload_refused') + count(baton, 'reload_failed');
  const failuresBefore = failures();
  process.kill(baton.pid, 'SIGHUP');
  await reached(baton, `the reload to be over: ${event}`, () => {
    if (refused === undefined && failures() > failuresBefore) {
      throw new Hopeless(`the reload failed; the log:\n${baton.log.slice(-3000)}`);
    }
    return count(baton, event) > before;
  });
  if (refused === undefined) {
    await reached(baton, 'only the new workers to be there', () =>
      isServedBy(baton, baton.pid) && isAlone(baton));
  }
}

/** USR2 to the master; until the new one, whose pid is returned, serves every lane. */
export async function upgrade(baton: Baton): Promise<number> {
  const old = baton.pid;
  const failures = count(baton, 'upgrade_failed');
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the new master to serve', () => {
    if (count(baton, 'upgrade_failed') > failures) throw new Hopeless('the upgrade failed');
    const pid = baton.pidIn(baton.pidFile);
    return pid !== null && pid !== old && baton.pidIn(baton.oldPidFile) === old
      && isServedBy(baton, pid);
  });
  return baton.pid;
}

/** QUIT to the old master; until nothing of its family is left. */
export async function commit(baton: Baton): Promise<void> {
  const old = baton.pidIn(baton.oldPidFile);
  if (old === null) throw new Error('there is nothing to commit');
  process.kill(old, 'SIGQUIT');
  await reached(baton, 'the old master to be gone', () => !isAlive(old)
    && baton.pidIn(baton.oldPidFile) === null && isAlone(baton) && isServedBy(baton, baton.pid));
}

/** Until another master has adopted what this dead one had left, and nobody else is there. */
export async function adopted(baton: Baton, dead: number): Promise<number> {
  await reached(baton, `what ${dead} had left to be adopted`, () => {
    const pid = baton.pidIn(baton.pidFile);
    return pid !== null && pid !== dead && isServedBy(baton, pid) && isAlone(baton)
      && baton.pidIn(baton.oldPidFile) === null
      && new RegExp(`"pid":${pid},.*"event":"adopted"`).test(baton.log);
  });
  return baton.pid;
}

/** HUP to the old master, then QUIT to the new one; until the old one is alone as it was. */
export async function rollBack(baton: Baton): Promise<void> {
  const old = baton.pidIn(baton.oldPidFile);
  const next = baton.pid;
  if (old === null) throw new Error('there is nothing to go back to');
  process.kill(old, 'SIGHUP');
  await reached(baton, 'the old master to serve again', () => isServedBy(baton, old));
  if (isAlive(next)) process.kill(next, 'SIGQUIT');
  await restored(baton, old);
}

/** Until the instance is what it was before an upgrade that did not come to pass. */
export async function restored(baton: Baton, master: number): Promise<void> {
  await reached(baton, 'the old master to be alone', () => baton.pidIn(baton.pidFile) === master
    && baton.pidIn(baton.oldPidFile) === null && isServedBy(baton, master) && isAlone(baton)
    && masters(baton).length === 1);
}

/** Masters that live and say so in their titles. */
export function masters(baton: Baton): number[] {
  return treeOf(baton.parentPid).filter((pid) => titleOf(pid).startsWith('baton: master'));
}

/** What must not grow: processes, and descriptors of each kind of process. */
export function holdings(baton: Baton): { [what: string]: number | number[] } {
  const family = baton.family();
  const [first] = baton.workers();
  return {
    processes: family.length,
    parent: descriptorsOf(baton.parentPid),
    master: descriptorsOf(baton.pid),
    workers: baton.workers().map(descriptorsOf).sort((a, b) => a - b),
    keeper: descriptorsOf(baton.crew().find(({ pid }) => pid === first)?.keeperPid ?? 0),
  };
}

/** How many connections these servers have ever accepted; the one that asks is among them. */
export async function connectionsOf(servers: readonly Redis[]): Promise<number[]> {
  return Promise.all(servers.map(async (server) => {
    const text = String(await server.call('INFO', 'stats'));
    return Number(/total_connections_received:(\d+)/.exec(text)![1]);
  }));
}

/** The same, once all links are open that this load needs: some are opened when they are first asked for. */
export async function steadyConnectionsOf(
  servers: readonly Redis[], load: ExactLoad,
): Promise<number[]> {
  let found = await connectionsOf(servers);
  for (let steady = 0; steady < STEADY_ROUNDS; steady += 1) {
    await load.round();
    const now = await connectionsOf(servers);
    if (now.join() !== found.join()) steady = -1;
    found = now;
  }
  return found;
}

/** Fails the test unless the instance comes to hold what it held before, and no more. */
export async function isHeld(
  t: Pick<Test, 'same'>, baton: Baton, before: ReturnType<typeof holdings>,
): Promise<void> {
  const isSame = (): boolean => {
    const now = holdings(baton);
    return Object.entries(before).every(([name, held]) => String(now[name]) === String(held));
  };
  await waitFor('nothing more to be held', isSame, HELD_PATIENCE_MS, 100).catch(() => {});
  t.same(holdings(baton), before, 'processes and descriptors are those of before');
}
