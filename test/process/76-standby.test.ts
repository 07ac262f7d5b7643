/**
 * Goal: the lane of a worker that dies is taken by a worker that stands by, at once, with everything
 *   in it, whatever the master does at the time, and another one stands by then.
 * Method: sessions that check every byte run through all of it. That it is quick is seen by who
 *   serves: the process that was there before the death.
 */
import t, { type Test } from 'tap';
import { WorkerState } from '../../src/shm/codes.js';
import type { Baton } from '../support/baton.js';
import { isFlawless, type ExactLoad } from '../support/exact-load.js';
import { Faults } from '../support/faults.js';
import {
  commit, count, isAlone, isServedBy, reached, reload, rollBack, standbysOf, upgrade,
} from '../support/hot-restart.js';
import { isAlive, titleOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const GLOBAL = { worker_standby: 1, upgrade_canary: '50ms' };
const servers = await Redis.startMany(t, 3);

/** The pid of a worker of this master's that stands by; waits for one. */
async function standby(baton: Baton, master = baton.pid): Promise<number> {
  const mine = (): number[] => standbysOf(baton)
    .filter(({ masterPid }) => masterPid === master).map(({ pid }) => pid);
  await reached(baton, 'a worker to stand by', () => mine().length > 0);
  return mine()[0]!;
}

async function servedBy(baton: Baton, lane: number, pid: number): Promise<void> {
  await reached(baton, `lane ${lane} to be served by ${pid}`, () => {
    const { owner } = baton.lanes()[lane]!;
    return owner?.pid === pid && owner.state === WorkerState.Serving && isAlive(pid);
  });
}

/** Kills the worker of a lane and waits until who stood by serves it. */
async function killLane(baton: Baton, lane: number, master?: number): Promise<number> {
  const heir = await standby(baton, master);
  process.kill(baton.lanes()[lane]!.owner!.pid, 'SIGKILL');
  await servedBy(baton, lane, heir);
  return heir;
}

async function isServed(t: Pick<Test, 'same'>, load: ExactLoad, what: string): Promise<void> {
  const { closes, errors, mismatches, trouble } = await load.round();
  t.same({ closes, errors, mismatches, trouble },
    { closes: 0, errors: 0, mismatches: 0, trouble: [] }, what);
}

t.test('deaths, one after the other and together', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: GLOBAL }, TCP_ONLY);
  t.match(titleOf(await standby(baton)), /^baton: standby worker process/);
  for (const lane of [0, 1, 1, 0]) {
    const heir = await killLane(baton, lane);
    await reached(baton, 'its title', () =>
      titleOf(heir).startsWith(`baton: worker process ${lane}`));
    await isServed(t, load, `the worker of lane ${lane} was killed`);
  }
  await reached(baton, 'the deaths to be told', () => count(baton, 'worker_died') === 4);
  t.same(baton.lanes().map(({ restarts }) => restarts), [2, 2]);

  const unused = await standby(baton);
  process.kill(unused, 'SIGKILL');
  await reached(baton, 'another one to stand by', () => standbysOf(baton)
    .some(({ pid }) => pid !== unused && isAlive(pid)));
  await killLane(baton, 0);
  await isServed(t, load, 'the standby was killed, and then a worker');

  const heir = await standby(baton);
  const before = baton.workers();
  for (const pid of before) process.kill(pid, 'SIGKILL');
  await reached(baton, 'both lanes to be served', () => baton.workers().length === 2
    && isServedBy(baton, baton.pid) && !before.some((pid) => baton.workers().includes(pid)));
  t.ok(baton.workers().includes(heir), 'one by who stood by, the other by a new worker');
  await isServed(t, load, 'both workers were killed');
  await reached(baton, 'rest', () => isAlone(baton));
  isFlawless(t, await load.finish());
});

t.test('the master stands still', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: GLOBAL }, TCP_ONLY);
  const heir = await standby(baton);
  process.kill(baton.pid, 'SIGSTOP');
  try {
    await killLane(baton, 1);
    await isServed(t, load, 'a worker was killed');
  } finally {
    process.kill(baton.pid, 'SIGCONT');
  }
  await reached(baton, 'rest, with another standby', () => isAlone(baton));
  t.equal(baton.workers()[1], heir);
  isFlawless(t, await load.finish());
});

t.test('the standby dies while it takes the lane', async (t) => {
  const faults = Faults.open(t);
  const { baton, load } = await startUnderLoad(t, servers,
    { global: GLOBAL, environment: faults.environment }, TCP_ONLY);
  for (const name of ['Claimed', 'Undone', 'SessionsRepaired', 'KeeperNamed']) {
    const heir = await standby(baton);
    faults.arm(name);
    process.kill(baton.workers()[0]!, 'SIGKILL');
    t.equal(await faults.fired(), heir, `${name}: it was the standby`);
    await reached(baton, 'the lane to be served all the same', () => isServedBy(baton, baton.pid)
      && baton.workers().length === 2);
    await isServed(t, load, name);
  }
  isFlawless(t, await load.finish());
});

t.test('reload, upgrade, roll back: each crew has its own', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: GLOBAL }, TCP_ONLY);
  const first = await standby(baton);
  await reload(baton);
  t.notOk(isAlive(first), 'the old crew\'s is gone');
  await killLane(baton, 0);
  await isServed(t, load, 'a death after the reload');
  await reached(baton, 'rest', () => isAlone(baton));

  const old = baton.pid;
  const waiting = await standby(baton);
  const next = await upgrade(baton);
  await killLane(baton, 1, next);
  await isServed(t, load, 'a death in the window');
  t.ok(isAlive(waiting) && standbysOf(baton).some(({ pid }) => pid === waiting),
    'the old master\'s standby leaves the lane to the new one\'s');
  await rollBack(baton);
  t.equal(await killLane(baton, 1, old), waiting, 'after the roll back it is of use');
  await isServed(t, load, 'a death after the roll back');

  await reached(baton, 'rest', () => isAlone(baton));
  await upgrade(baton);
  await commit(baton);
  await killLane(baton, 0);
  await isServed(t, load, 'a death after the upgrade');
  isFlawless(t, await load.finish());
});
