/**
 * Goal: the master's death changes nothing for clients. Another one, started by the mute parent or
 *   by whoever watches over Baton, adopts lanes and workers, applies the configuration that is on
 *   disk then, and goes on as if it had been there from the beginning; however often that happens,
 *   whatever the dead one was about to do, and whether or not workers died with it.
 * Method: kill -9 under sessions that check every byte; servers count their connections.
 */
import t, { type Test } from 'tap';
import { WorkerState } from '../../src/shm/codes.js';
import { ALONE, type Baton } from '../support/baton.js';
import { runBaton } from '../support/command.js';
import { isFlawless, type ExactLoad } from '../support/exact-load.js';
import {
  adopted, commit, connectionsOf, count, edit, holdings, isHeld, masters, reached, reload,
  steadyConnectionsOf, upgrade,
} from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 2;

const servers = await Redis.startMany(t, 3);

/** Without a worker nobody is served until the next master's are warm. */
const PATIENT = { ...TCP_ONLY, patienceMs: 60_000 };

async function isServed(t: Pick<Test, 'same'>, load: ExactLoad, what: string): Promise<void> {
  const { closes, errors, mismatches, trouble } = await load.round();
  t.same({ closes, errors, mismatches, trouble },
    { closes: 0, errors: 0, mismatches: 0, trouble: [] }, what);
}

function generation(baton: Baton): number {
  return Math.max(...baton.lanes().map((lane) => lane.generation));
}

function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  process.kill(pid, signal);
}

t.test('the parent starts another one, which adopts', { buffered: true }, async (t) => {
  const own = await Redis.startMany(t, 3); // others' connections are counted, too
  const { baton, load } = await startUnderLoad(t, own, { global: { upgrade_canary: '50ms' } },
    PATIENT);
  const connections = await steadyConnectionsOf(own, load);
  const held = holdings(baton);
  const before = generation(baton);
  edit(baton, /^pools:/m, '  stats_interval: 31s\npools:');
  let dead = baton.pid;
  baton.killMaster(dead);
  await isServed(t, load, 'without a master');
  await adopted(baton, dead);
  t.ok(generation(baton) > before, 'with the configuration that is on disk');
  const diff = await runBaton(['-t', '--diff', '-c', baton.confFile, '-p', baton.pidFile],
    baton.directory);
  t.match(diff.err, /nothing would change/);
  await isServed(t, load, 'adopted');
  await isHeld(t, baton, held);
  t.equal(await baton.metric('baton_crash_survival'), 1);

  await reload(baton);
  await upgrade(baton);
  await commit(baton);
  await isServed(t, load, 'a reload and an upgrade later');

  dead = baton.pid;
  baton.killMaster(dead);
  await reached(baton, 'an adoption to begin', () => count(baton, 'adopting') === 2
    && masters(baton).some((pid) => pid !== dead));
  const second = masters(baton).find((pid) => pid !== dead)!;
  baton.killMaster(second);
  await adopted(baton, second);
  await isServed(t, load, 'after a death in the middle of an adoption');

  dead = baton.pid;
  const [first, other] = baton.workers();
  baton.killMaster(dead);
  kill(first!);
  await adopted(baton, dead);
  await isServed(t, load, 'master and a worker together');
  dead = baton.pid;
  const workers = baton.workers();
  baton.killMaster(dead);
  workers.forEach((pid) => kill(pid));
  await adopted(baton, dead);
  t.notOk(isAlive(other!));
  await isServed(t, load, 'master and all workers together');
  t.same(baton.log.match(/.*"event":"server_(down|up)".*/g), null, 'no link is lost');
  t.same(await connectionsOf(own), connections, 'no server has seen a new connection');
  await isHeld(t, baton, held);
  isFlawless(t, await load.finish());
});

t.test('in the middle of a reload', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, PATIENT);
  let [dead, before] = [baton.pid, generation(baton)];
  const newWorkers = () => baton.crew().filter(({ generation, pid }) =>
    generation > before && pid !== 0);
  kill(dead, 'SIGHUP');
  await reached(baton, 'new workers', () => newWorkers().length > 0);
  baton.killMaster(dead);
  await adopted(baton, dead);
  await isServed(t, load, 'its new workers were starting');

  // One lane follows the new configuration, the other one cannot: both halves are in use.
  [dead, before] = [baton.pid, generation(baton)];
  const stuck = baton.workers()[1]!;
  kill(stuck, 'SIGSTOP');
  kill(dead, 'SIGHUP');
  await reached(baton, 'one lane to follow', () => baton.lanes()[0]!.generation > before);
  baton.killMaster(dead);
  newWorkers().filter(({ lane }) => lane === 1).forEach(({ pid }) => kill(pid));
  t.equal(baton.lanes()[1]!.generation, before);
  kill(stuck, 'SIGCONT');
  await adopted(baton, dead);
  await reached(baton, 'the file to be read again', () => count(baton, 'drained') === 1);
  await isServed(t, load, 'both lanes follow one configuration again');
  isFlawless(t, await load.finish());
});

t.test('both masters, in an upgrade', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: { upgrade_canary: '30s' } },
    PATIENT);
  const old = baton.pid;
  kill(old, 'SIGUSR2');
  await reached(baton, 'the canary', () => baton.crew().some(({ masterPid, state }) =>
    masterPid !== old && state === WorkerState.Serving));
  edit(baton, /upgrade_canary: \S+/, 'upgrade_canary: 50ms');
  const killBoth = async (): Promise<void> => {
    const both = masters(baton);
    both.forEach((pid) => baton.killMaster(pid));
    await adopted(baton, baton.pidIn(baton.pidFile) ?? both.at(-1)!);
  };
  await killBoth();
  await isServed(t, load, 'with a canary');
  await upgrade(baton);
  await killBoth();
  await isServed(t, load, 'with frozen old workers');
  isFlawless(t, await load.finish());
});

t.test('without a parent', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { environment: ALONE }, PATIENT);
  const dead = baton.pid;
  const workers = baton.workers();
  baton.killMaster(dead);
  await waitFor('its end', () => baton.ending);
  for (let round = 0; round < 5; round += 1) await isServed(t, load, `round ${round}`);
  const say = (name: string) => runBaton(['-s', name, '-p', baton.pidFile], baton.directory);
  for (const name of ['reload', 'upgrade', 'rollback', 'commit']) {
    t.match(await say(name), { code: 1, err: `-s ${name}: ${baton.pidFile}: the master is dead, ` +
      `workers (pid ${workers.join(', ')}) serve on: start baton again, it adopts them` });
  }
  kill(workers[0]!);
  baton.startAgain();
  await adopted(baton, dead);
  await isServed(t, load, 'adopted');
  isFlawless(t, await load.finish());
});
