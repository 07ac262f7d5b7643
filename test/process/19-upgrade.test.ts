/**
 * Goal: USR2 is invisible to clients, and what is no longer needed afterwards is gone.
 * Method: as for reloads, 200 sessions that check every byte run through all of it; pid files and
 *   signals are used as in a script written for nginx.
 */
import t from 'tap';
import { spawnChild } from '../support/children.js';
import { isFlawless } from '../support/exact-load.js';
import {
  commit, connectionsOf, count, holdings, isAlone, isHeld, isServedBy, masters, reached,
  steadyConnectionsOf, upgrade,
} from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, WHOLE_CAST } from '../support/under-load.js';
import { within } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const QUICK = { upgrade_canary: '50ms' };
const servers = await Redis.startMany(t, 3);

t.test('twenty upgrades under 200 sessions', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK }, { cast: WHOLE_CAST });
  const connections = await steadyConnectionsOf(servers, load);
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

t.test('redis-benchmark notices nothing', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  let output = '';
  const benchmark = spawnChild('redis-benchmark', [ // -l: again and again; it ends at an error
    '-p', String(baton.port), '-c', '20', '-P', '4', '-n', '20000', '-r', '1000', '-q', '-l',
    '-t', 'set,get,incr',
  ]);
  for (const stream of [benchmark.stdout!, benchmark.stderr!]) {
    stream.on('data', (bytes: Buffer) => { output += bytes.toString(); });
  }
  const results = (): number => output.match(/requests per second/g)?.length ?? 0;
  await reached(baton, 'it to run', () => results() > 0);
  await upgrade(baton);
  await commit(baton);
  const before = results();
  await reached(baton, 'each of its tests to be done once more', () => results() >= before + 4);
  t.equal(benchmark.exitCode, null, 'it runs on');
  t.notMatch(output, /error|closed|reset|refused/i);
  benchmark.kill();
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
