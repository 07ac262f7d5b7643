/**
 * Goal: a worker that hangs is killed and its sessions go on; one that only has nothing to do, or
 *   that stood still together with its master, is left alone.
 * Method: SIGSTOP, under an exact load where there is something to lose.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { isFlawless } from '../support/exact-load.js';
import { count } from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { pass, waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine
t.jobs = 3; // most of the time is waiting

const servers = await Redis.startMany(t, 3);
const TIMEOUT = '1s';
const LOOKS_MS = 4000; // more than the timeout and the third that it may be late

t.test('a stopped worker is killed, its sessions go on', { buffered: true }, async (t) => {
  const { baton, load } = await startUnderLoad(t, servers,
    { global: { worker_hang_timeout: TIMEOUT } }, { ...TCP_ONLY, patienceMs: 30_000 });
  const [hung, other] = baton.workers();
  process.kill(hung!, 'SIGSTOP');
  await baton.logged(new RegExp(`"event":"worker_hung","worker":0,"workerPid":${hung}`));
  await waitFor('another worker to serve', () => !isAlive(hung!)
    && baton.workers().length === 2 && !baton.workers().includes(hung!));
  t.equal(baton.workers()[1], other, 'the one that does not hang stays');
  isFlawless(t, await load.finish());
});

t.test('an idle worker is left alone', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, {
    servers, global: { worker_processes: 2, worker_hang_timeout: TIMEOUT },
  });
  const before = baton.workers();
  await pass(LOOKS_MS);
  t.same(baton.workers(), before);
  t.equal(count(baton, 'worker_hung'), 0);
});

t.test('time in which the master stood still does not count', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers, global: { worker_hang_timeout: TIMEOUT } });
  const client = await baton.client();
  const before = baton.workers();
  const all = [baton.pid, ...before];
  for (const pid of all) process.kill(pid, 'SIGSTOP');
  await pass(LOOKS_MS);
  for (const pid of all) process.kill(pid, 'SIGCONT');
  t.equal(await client.call('SET', 'key', 'value'), 'OK');
  await pass(LOOKS_MS / 2);
  t.same(baton.workers(), before);
  t.equal(count(baton, 'worker_hung'), 0);
});

t.test('0: it may hang for ever', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers, global: { worker_hang_timeout: 0 } });
  const [worker] = baton.workers();
  process.kill(worker!, 'SIGSTOP');
  await pass(LOOKS_MS);
  t.ok(isAlive(worker!));
  process.kill(worker!, 'SIGCONT');
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});
