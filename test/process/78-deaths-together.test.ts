/**
 * Goal: who dies together with a worker makes no difference: a server (each request is answered
 *   exactly once), a keeper shortly before, partners of a hot restart with everything under way; and
 *   deaths from outside never make a request look like a poison.
 * Method: sessions that check every byte; a server that is killed keeps what it has acknowledged.
 */
import t, { type Test } from 'tap';
import { WorkerState } from '../../src/shm/codes.js';
import { Baton } from '../support/baton.js';
import { ExactLoad, isFlawless } from '../support/exact-load.js';
import { count, isAlone, isServedBy, reached, restored } from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { comeToRest, upgradeTo, type Step } from '../support/restart-steps.js';
import { dice } from '../support/seed.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { pass } from '../support/wait-for.js';
import { Torture } from '../torture/torture.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const ROUNDS = 12;
const RANDOM_KILLS = 40; // of whole Batons; of lanes without JavaScript: 77-torture.test.ts
const APART_MS = 3;
const PATIENCE_MS = 60_000; // who reads slowly may wait through several deaths
/** It answers when what it says is on disk. */
const LASTING = ['--appendonly', 'yes', '--appendfsync', 'always'];

const servers = await Redis.startMany(t, 3);

async function served(baton: Baton): Promise<void> {
  await reached(baton, 'every lane to be served', () => isServedBy(baton, baton.pid));
}

function ownerOf(baton: Baton, lane: number): number {
  const { owner } = baton.lanes()[lane]!;
  if (owner === null || !isAlive(owner.pid)) throw new Error(`nobody serves lane ${lane}`);
  return owner.pid;
}

async function isServed(t: Pick<Test, 'same'>, load: ExactLoad, what: string): Promise<void> {
  const { closes, errors, mismatches, trouble } = await load.round();
  t.same({ closes, errors, mismatches, trouble },
    { closes: 0, errors: 0, mismatches: 0, trouble: [] }, what);
}

t.test('a worker and its server', async (t) => {
  const game = dice(t);
  const lasting = await Redis.start(t, LASTING);
  const baton = await Baton.start(t, {
    servers: [lasting], pool: { reconnect_min: 20, reconnect_max: 100 },
    global: { worker_processes: 2, worker_standby: 1 },
  });
  const load = await ExactLoad.start(t, {
    addresses: [baton.port], shaky: baton.port, cast: { shaky: 30 }, prefix: 'together:',
    patienceMs: PATIENCE_MS,
  });
  for (let round = 0; round < ROUNDS; round += 1) {
    const victims = [ownerOf(baton, round % 2), lasting.pid];
    if (game.isHead()) victims.reverse();
    const apartMs = game.below(APART_MS);
    process.kill(victims[0]!, 'SIGKILL');
    if (apartMs > 0) await pass(apartMs);
    process.kill(victims[1]!, 'SIGKILL');
    await lasting.kill();
    await lasting.up();
    await served(baton);
    await isServed(t, load, `the ${victims[1] === lasting.pid ? 'worker' : 'server'} first`);
  }
  const report = await load.finish();
  isFlawless(t, report);
  t.ok(report.pardoned > 0, `${report.pardoned} requests got an error instead`);
});

t.test('a keeper, and then its worker', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, TCP_ONLY);
  for (const lane of [0, 1, 0]) {
    const { pid, keeperPid } = baton.lanes()[lane]!.owner!;
    process.kill(keeperPid, 'SIGKILL');
    await reached(baton, 'another keeper', () => {
      const now = baton.crew().find((row) => row.pid === pid)?.keeperPid ?? 0;
      return now > 0 && now !== keeperPid && isAlive(now);
    });
    await isServed(t, load, 'the keeper was killed');
    process.kill(pid, 'SIGKILL');
    await reached(baton, 'the lane to be served anew', () =>
      isServedBy(baton, baton.pid) && baton.lanes()[lane]!.owner?.pid !== pid);
    await isServed(t, load, 'its worker was killed');
  }
  t.equal(count(baton, 'keeper_died'), 3);
  isFlawless(t, await load.finish());
});

t.test('an owner, in a reload', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, { ...TCP_ONLY, patienceMs: PATIENCE_MS });
  const steps = [
    ['starting', WorkerState.Starting], ['ready', WorkerState.Ready],
    ['serving', WorkerState.Serving],
  ] as const;
  for (const [name, step] of steps) {
    const before = Math.max(...baton.lanes().map(({ generation }) => generation));
    const ends = count(baton, 'drained') + count(baton, 'reload_failed');
    process.kill(baton.pid, 'SIGHUP');
    await reached(baton, 'that step of the reload', () => baton.crew().some((row) =>
      row.generation > before && row.pid > 0 && row.state >= step));
    process.kill(ownerOf(baton, 0), 'SIGKILL');
    await reached(baton, 'the reload to be over', () => isAlone(baton)
      && isServedBy(baton, baton.pid)
      && count(baton, 'drained') + count(baton, 'reload_failed') > ends);
    await isServed(t, load, `killed when a new worker was ${name}`);
  }
  isFlawless(t, await load.finish());
});

t.test('an owner, in an upgrade', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '400ms' } }, { ...TCP_ONLY, patienceMs: PATIENCE_MS });
  const old = baton.pid;
  for (const step of ['starting', 'ready', 'canary', 'served'] satisfies Step[]) {
    for (const lane of [0, 1]) {
      await upgradeTo(baton, step);
      process.kill(ownerOf(baton, lane), 'SIGKILL');
      await comeToRest(baton, old);
      await isServed(t, load, `the owner of lane ${lane} was killed at "${step}"`);
    }
  }
  isFlawless(t, await load.finish());
});

t.test('an owner, in a roll back', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { upgrade_canary: '50ms' } }, { ...TCP_ONLY, patienceMs: PATIENCE_MS });
  const old = baton.pid;
  for (const lane of [0, 1]) {
    const next = await upgradeTo(baton, 'served');
    process.kill(old, 'SIGHUP');
    await reached(baton, 'a lane to be back', () => baton.lanes().some(({ owner }) =>
      owner?.masterPid === old && owner.state === WorkerState.Serving));
    process.kill(ownerOf(baton, lane), 'SIGKILL');
    await reached(baton, 'the old master to serve', () => isServedBy(baton, old));
    if (isAlive(next)) process.kill(next, 'SIGQUIT');
    await restored(baton, old);
    await isServed(t, load, `the owner of lane ${lane} was killed`);
  }
  isFlawless(t, await load.finish());
});

t.test('workers, at random moments, again and again', async (t) => {
  const torture = await Torture.start(t, {
    name: 'random', seed: dice(t).seed, kinds: ['random'], global: { worker_standby: 1 },
  });
  while (torture.kills < RANDOM_KILLS && !torture.isBroken) await torture.killOnce();
  const verdict = await torture.finish(); // which fails if a request was taken for a poison
  t.same(verdict.trouble, []);
  t.ok(verdict.replies > 1000, `${verdict.replies} replies were as they must be`);
});
