/**
 * Goal: whoever dies or stands still at whatever step of an upgrade or a reload: the sessions stay
 *   with whoever owns their lane, and the instance comes to rest with one master.
 * Method: at each state that shared memory shows (a second master, its workers warm, the canary
 *   lane taken, all lanes taken) one partner is killed or stopped, with sessions that check every
 *   byte. Where the owner of a lane is killed, nothing is under way: exactly once over a death is
 *   another test's.
 */
import t, { type Test } from 'tap';
import { WorkerState } from '../../src/shm/codes.js';
import { isFlawless, type ExactLoad } from '../support/exact-load.js';
import {
  count, edit, isAlone, isServedBy, reached, reload, restored, rollBack,
} from '../support/hot-restart.js';
import type { WorkerRow } from '../support/memory-view.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { comeToRest, newWorkers, upgradeTo } from '../support/restart-steps.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const servers = await Redis.startMany(t, 3);

function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  if (pid <= 0 || !isAlive(pid)) throw new Error(`there is no process ${pid} to get ${signal}`);
  process.kill(pid, signal);
}

async function isServed(t: Pick<Test, 'same'>, load: ExactLoad): Promise<void> {
  const { closes, errors, mismatches, trouble } = await load.round();
  t.same({ closes, errors, mismatches, trouble },
    { closes: 0, errors: 0, mismatches: 0, trouble: [] }, 'all sessions are served');
}

t.test('the new master dies', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '400ms' } }, TCP_ONLY);
  const old = baton.pid;
  for (const step of ['exec', 'starting', 'ready', 'canary', 'served'] as const) {
    baton.killMaster(await upgradeTo(baton, step));
    await restored(baton, old);
    await isServed(t, load);
    t.pass(`killed at "${step}"`);
  }
  isFlawless(t, await load.finish());
});

t.test('one of the new workers dies', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '400ms' } }, TCP_ONLY);
  const old = baton.pid;
  for (const step of ['starting', 'ready'] as const) {
    await upgradeTo(baton, step);
    kill(newWorkers(baton, old)[0]!.pid);
    await comeToRest(baton, old);
    await isServed(t, load);
    t.pass(`killed at "${step}"`);
  }
  for (const step of ['canary', 'served'] as const) {
    await upgradeTo(baton, step);
    await load.hold();
    const owner = newWorkers(baton, old).find(({ state }) => state === WorkerState.Serving);
    kill(owner!.pid);
    await comeToRest(baton, old);
    await load.go();
    await isServed(t, load);
    t.pass(`the owner killed at "${step}"`);
  }
  isFlawless(t, await load.finish());
});

t.test('the old master dies', async (t) => {
  for (const step of ['canary', 'served'] as const) {
    const { baton, load } = await startUnderLoad(t, servers, {
      global: { upgrade_canary: '400ms' },
    });
    const old = baton.pid;
    const next = await upgradeTo(baton, step);
    baton.killMaster(old);
    await reached(baton, 'the new master to be alone', () => isServedBy(baton, next)
      && isAlone(baton) && baton.pidIn(baton.pidFile) === next
      && baton.pidIn(baton.oldPidFile) === null);
    await isServed(t, load);
    isFlawless(t, await load.finish());
    await baton.stop();
  }
});

t.test('an old worker dies while it is frozen', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '50ms' } }, TCP_ONLY);
  const old = baton.pid;
  await upgradeTo(baton, 'served');
  const frozen = baton.crew().find(({ masterPid, state }) => masterPid === old
    && state === WorkerState.Frozen);
  kill(frozen!.pid);
  await rollBack(baton);
  await isServed(t, load);
  isFlawless(t, await load.finish());
});

t.test('the new master stands still', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '400ms' } }, TCP_ONLY);
  const old = baton.pid;
  for (const step of ['exec', 'ready', 'canary', 'served'] as const) {
    const next = await upgradeTo(baton, step);
    kill(next, 'SIGSTOP');
    await isServed(t, load);
    kill(next, 'SIGCONT');
    await comeToRest(baton, old);
    t.pass(`stopped at "${step}"`);
  }
  isFlawless(t, await load.finish());
});

t.test('the old master stands still', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '400ms' } }, TCP_ONLY);
  const old = baton.pid;
  for (const step of ['ready', 'canary'] as const) {
    await upgradeTo(baton, step);
    kill(old, 'SIGSTOP');
    await isServed(t, load);
    kill(old, 'SIGCONT');
    await comeToRest(baton, old);
    t.pass(`stopped at "${step}"`);
  }
  isFlawless(t, await load.finish());
});

t.test('an owner that does not let go', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, { ...TCP_ONLY, patienceMs: 20_000 });
  const [stuck] = baton.workers();
  const generation = baton.lanes()[0]!.generation;
  kill(stuck!, 'SIGSTOP');
  process.kill(baton.pid, 'SIGHUP');
  await reached(baton, 'the other lane to follow, or the reload to be given up', () =>
    baton.lanes()[1]!.generation > generation || count(baton, 'take_failed') > 0
    || count(baton, 'reload_failed') > 0);
  t.equal(baton.lanes()[0]!.owner!.pid, stuck, 'the lane is still its owner\'s');
  kill(stuck!, 'SIGCONT');
  await reached(baton, 'one crew to have all lanes', () => isAlone(baton)
    && isServedBy(baton, baton.pid) && count(baton, 'drained') + count(baton, 'reload_failed') > 0);
  await isServed(t, load);
  isFlawless(t, await load.finish());
});

t.test('reload: new workers die, before and while they take over', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, TCP_ONLY);
  const isNew = ({ generation }: WorkerRow): boolean =>
    generation > Math.min(...baton.lanes().map((lane) => lane.generation));
  for (const state of [WorkerState.Starting, WorkerState.Ready]) {
    process.kill(baton.pid, 'SIGHUP');
    await reached(baton, 'new workers', () => baton.crew().some((row) => isNew(row)
      && row.pid !== 0 && row.state >= state));
    const victim = baton.crew().find((row) => isNew(row) && row.pid !== 0)!;
    if (isAlive(victim.pid) && victim.state <= WorkerState.Ready) kill(victim.pid);
    await reached(baton, 'the reload to be over', () => isAlone(baton)
      && isServedBy(baton, baton.pid));
    await isServed(t, load);
  }
  isFlawless(t, await load.finish());
});

t.test('keepers die', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, TCP_ONLY);
  const keeper = baton.crew()[0]!.keeperPid;
  kill(keeper);
  edit(baton, /^pools:/m, '  stats_interval: 31s\npools:');
  process.kill(baton.pid, 'SIGHUP');
  await reached(baton, 'the reload to be done, or given up', () => isAlone(baton)
    && isServedBy(baton, baton.pid) && count(baton, 'drained') + count(baton, 'reload_failed') > 0);
  await isServed(t, load);
  await reload(baton);
  await isServed(t, load);
  isFlawless(t, await load.finish());
});
