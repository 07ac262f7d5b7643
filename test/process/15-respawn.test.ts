/**
 * Goal: a worker that dies is replaced at once, alone, and its place serves again; one that keeps
 *   dying at its start is replaced ever more slowly.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const redis = await Redis.start(t);

interface Death { how: string; pauseMs: number; worker: number; wasServing: boolean }

function deaths(baton: Baton): Death[] {
  return baton.log.split('\n').filter((line) => line.includes('"event":"worker_died"'))
    .map((line) => JSON.parse(line) as Death);
}

/** Kills worker `number` and waits until its successor serves, whose pid it returns. */
async function killWorker(baton: Baton, number: number): Promise<number> {
  await baton.logged(/"event":"started"/);
  const before = baton.workers();
  const victim = before[number]!;
  process.kill(victim, 'SIGKILL');
  const successor = await waitFor('a new worker in its place', () => {
    const now = baton.workers();
    return now.length === before.length && now[number] !== victim && now[number];
  });
  await baton.logged(new RegExp(`"event":"worker_serving".*"workerPid":${successor},`));
  return successor;
}

t.test('a killed worker is replaced, the other one is left alone', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  const [first, second] = baton.workers();
  const replacement = await killWorker(baton, 0);
  t.not(replacement, first);
  t.same(baton.workers(), [replacement, second]);
  t.notOk(isAlive(first!));
  t.match(deaths(baton), [{ how: 'SIGKILL', pauseMs: 0, worker: 0, wasServing: true }]);

  const clients = await Promise.all(Array.from({ length: 40 }, () => baton.client()));
  for (const client of clients) t.equal(await client.call('PING'), 'PONG');
});

t.test('sessions of a killed worker stay', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  const clients = await Promise.all(Array.from({ length: 40 }, () => baton.client()));
  for (const [i, client] of clients.entries()) {
    t.equal(await client.call('CLIENT', 'SETNAME', `name${i}`), 'OK');
    t.equal(await client.call('SET', 'key', 'value'), 'OK');
  }
  await killWorker(baton, 1);
  await killWorker(baton, 0);
  for (const [i, client] of clients.entries()) {
    t.equal(await client.call('CLIENT', 'GETNAME'), `name${i}`);
    t.equal(await client.call('GET', 'key'), 'value');
  }
});

t.test('a worker that keeps dying is replaced ever more slowly', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  for (let i = 0; i < 5; i += 1) await killWorker(baton, 0);
  const pauses = deaths(baton).map(({ pauseMs }) => pauseMs);
  t.equal(pauses.length, 5);
  t.equal(pauses[0], 0, 'the first at once');
  t.ok(pauses.every((pause, i) => i === 0 || pause >= pauses[i - 1]!), `never faster: ${pauses}`);
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});

t.test('shared memory of the dead is used again', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const value = 'x'.repeat(1 << 20);
  const bytes = (): Promise<number> => baton.metric('baton_shm_pool_bytes');
  const fill = async (): Promise<void> => {
    const client = await baton.client();
    t.equal(await client.call('SET', 'big', value), 'OK');
    t.equal((await client.call('GET', 'big'))?.toString().length, value.length);
    client.destroy();
  };
  await fill();
  await killWorker(baton, 0);
  await fill();
  const before = await bytes();
  for (let i = 0; i < 4; i += 1) {
    await killWorker(baton, 0);
    await fill();
  }
  t.ok(await bytes() <= before, 'no batch has been lost');
});

t.test('a stop does not wait for a worker that is to be replaced', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  for (let i = 0; i < 4; i += 1) await killWorker(baton, 0);
  process.kill(baton.workers()[0]!, 'SIGKILL');
  await baton.logged(/"pauseMs":[1-9]/);
  const began = performance.now();
  await baton.stop();
  t.ok(performance.now() - began < 1000);
});
