/**
 * Goal: USR2, what follows it, and the way back are invisible to clients and leave nothing over.
 * Method: as for reloads, 200 sessions that check every byte run through all of it; pid files and
 *   signals are used as in a script written for nginx.
 */
import t from 'tap';
import { spawnChild } from '../support/children.js';
import { runBaton } from '../support/command.js';
import { isFlawless } from '../support/exact-load.js';
import {
  commit, connectionsOf, count, holdings, isAlone, isHeld, isServedBy, masters, reached, restored,
  rollBack, upgrade,
} from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, WHOLE_CAST } from '../support/under-load.js';
import { within } from '../support/wait-for.js';

t.setTimeout(220_000); // for the whole file, on a busy machine

const QUICK = { upgrade_canary: '50ms' };
const isRoot = process.getuid!() === 0;
const servers = await Redis.startMany(t, 3);

t.test('twenty upgrades under 200 sessions', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK }, { cast: WHOLE_CAST });
  const connections = await connectionsOf(servers);
  const first = baton.pid;
  await upgrade(baton);
  await commit(baton);
  const before = holdings(baton);
  for (let i = 1; i < 20; i += 1) {
    await upgrade(baton);
    await commit(baton);
    if (i % 5 === 0) t.same((await load.round()).trouble, [], `after ${i + 1} upgrades`);
  }
  t.notOk(isAlive(first));
  t.equal(masters(baton).length, 1);
  await load.round();
  await isHeld(t, baton, before);
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('five roll backs, then one upgrade that stays', async (t) => {
  const global = isRoot ? { ...QUICK, user: 'nobody' } : QUICK;
  const { baton, load } = await startUnderLoad(t, servers, { global }, { cast: WHOLE_CAST });
  const connections = await connectionsOf(servers);
  const old = baton.pid;
  await upgrade(baton);
  await rollBack(baton);
  const before = holdings(baton);
  for (let i = 1; i < 5; i += 1) {
    await upgrade(baton);
    await load.round();
    await rollBack(baton);
    t.same((await load.round()).trouble, [], `after ${i + 1} roll backs`);
  }
  t.equal(baton.pid, old);
  await isHeld(t, baton, before);
  await upgrade(baton);
  await commit(baton);
  await load.round();
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('the lines of a script for nginx, one right after the other', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  const old = baton.pid;
  const script = `kill -USR2 $(cat ${baton.pidFile})
    until test -s ${baton.oldPidFile}; do sleep 0.01; done
    kill -QUIT $(cat ${baton.oldPidFile})`;
  const shell = spawnChild('/bin/sh', ['-e', '-c', script]);
  const ended = new Promise((resolve) => { shell.once('exit', resolve); });
  t.equal(await within('the script', ended), 0);
  await reached(baton, 'the upgrade to be done and committed', () => !isAlive(old)
    && baton.pidIn(baton.oldPidFile) === null && isServedBy(baton, baton.pid) && isAlone(baton));
  t.not(baton.pid, old);
  await load.round();
  isFlawless(t, await load.finish());
});

t.test('WINCH commits: the old master stays for a while and takes nothing back', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  const old = baton.pid;
  const next = await upgrade(baton);
  t.ok(baton.crew().some(({ masterPid }) => masterPid === old), 'frozen workers of the old one');
  process.kill(old, 'SIGWINCH');
  await reached(baton, 'the old workers to be gone', () => isAlone(baton));
  t.equal(baton.pidIn(baton.oldPidFile), old, 'the old master is there');
  process.kill(old, 'SIGHUP');
  await baton.logged(/"level":"(warn|error)".*HUP/);
  t.ok(isServedBy(baton, next));
  await commit(baton);
  await load.round();
  isFlawless(t, await load.finish());
});

t.test('when nobody says anything, the end of upgrade_window commits', async (t) => {
  const global = { ...QUICK, upgrade_window: '500ms' };
  const { baton, load } = await startUnderLoad(t, servers, { global });
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the old master to be gone', () => !isAlive(old) && isAlone(baton)
    && baton.pidIn(baton.oldPidFile) === null);
  t.ok(isServedBy(baton, baton.pid));
  isFlawless(t, await load.finish());
});

t.test('a second USR2 is refused, whoever gets it', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: { upgrade_canary: '300ms' } });
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'a second master', () => masters(baton).length === 2);
  process.kill(old, 'SIGUSR2');
  await baton.logged(/"level":"(warn|error)".*USR2/);
  await reached(baton, 'the first upgrade to go on', () => baton.pidIn(baton.pidFile) !== null
    && baton.pid !== old && isServedBy(baton, baton.pid));
  const told = (): number => baton.log.match(/"level":"(warn|error)".*USR2/g)!.length;
  const before = told();
  process.kill(baton.pid, 'SIGUSR2');
  await reached(baton, 'the new master to refuse it, too', () => told() > before);
  t.equal(masters(baton).length, 2);
  await rollBack(baton);
  isFlawless(t, await load.finish());
});

t.test('-s upgrade, rollback and commit', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  const old = baton.pid;
  const send = async (signal: string): Promise<void> => {
    const { code, err } = await runBaton(['-s', signal, '-p', baton.pidFile], baton.directory);
    t.equal(code, 0, `-s ${signal}: ${err}`);
  };
  const served = (): Promise<void> => reached(baton, 'the new master to serve', () =>
    baton.pidIn(baton.oldPidFile) === old && baton.pidIn(baton.pidFile) !== null
    && isServedBy(baton, baton.pid));
  await send('upgrade');
  await served();
  await send('rollback');
  await restored(baton, old);
  await send('upgrade');
  await served();
  await send('commit');
  await reached(baton, 'the old master to be gone', () => !isAlive(old) && isAlone(baton));
  const { code, err } = await runBaton(['-s', 'rollback', '-p', baton.pidFile], baton.directory);
  t.not(code, 0);
  t.match(err, /oldbin|upgrade/, 'there is nothing to go back to');
  isFlawless(t, await load.finish());
});

t.test('redis-benchmark notices nothing', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  let output = '';
  const benchmark = spawnChild('redis-benchmark', [
    '-p', String(baton.port), '-c', '20', '-P', '4', '-n', '400000', '-r', '1000', '-q',
    '-t', 'set,get,incr',
  ]);
  for (const stream of [benchmark.stdout!, benchmark.stderr!]) {
    stream.on('data', (bytes: Buffer) => { output += bytes.toString(); });
  }
  const ended = new Promise((resolve) => { benchmark.once('close', resolve); });
  await reached(baton, 'it to run', () => /\d/.test(output));
  await upgrade(baton);
  await commit(baton);
  t.equal(benchmark.exitCode, null, 'it runs on');
  t.equal(await within('the benchmark', ended, 60_000), 0);
  t.notMatch(output, /error|closed|reset|refused/i);
  t.equal(count(baton, 'worker_died'), 0);
  isFlawless(t, await load.finish());
});

t.test('a stop in the window ends both families', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  await upgrade(baton);
  isFlawless(t, await load.finish());
  await baton.stop(); // it says what is left over
  t.equal(baton.pidIn(baton.oldPidFile), null);
});
