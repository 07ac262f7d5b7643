/**
 * Goal: when shared memory or descriptors run out, Baton lives on, serves whom it can, and is
 *   whole again when there is room.
 * Method: limits are set low and driven into; the worker must stay the same process throughout.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { FakeBackend } from '../support/fake-backend.js';
import { cpuMsOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { encode, plain, show } from '../support/resp.js';
import { pass, waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const MIB = 1024 * 1024;
const redis = await Redis.start(t);
await redis.call('SET', 'value:1m', Buffer.alloc(MIB, 'x'));

async function isServed(client: Client): Promise<boolean> {
  return plain(await client.command('SET', 'small', 'x')) === 'OK';
}

const isEmpty = async (baton: Baton): Promise<boolean> =>
  await baton.metric('baton_lane_chunks') === 0;

const isFull = async (baton: Baton): Promise<boolean> =>
  await baton.metric('baton_lane_chunks') * 4096 > 50 * MIB; // of 64 MiB

t.test('a pool filled by replies that nobody reads', async (t) => {
  const baton = await Baton.start(t, {
    servers: [redis], global: { shm_max: '64m' }, pool: { client_output_limit: '1g' },
  });
  const [worker] = baton.workers();
  const gluttons = await Promise.all(Array.from({ length: 8 }, () => baton.client()));
  for (const glutton of gluttons) {
    glutton.pause();
    glutton.push(Buffer.concat(Array.from({ length: 30 }, () => encode(['GET', 'value:1m']))));
  }
  await waitFor('the pool to be full', () => isFull(baton));
  const max = await baton.metric('baton_shm_pool_max_bytes');
  t.ok(await baton.metric('baton_shm_pool_bytes') <= max, 'it does not exceed shm_max');
  for (const glutton of gluttons) glutton.reset();
  const client = await baton.client();
  await waitFor('service again', () => isServed(client));
  await waitFor('all memory to be free', () => isEmpty(baton));
  t.same(baton.workers(), [worker], 'the worker lived on');
  t.equal((await client.command('GET', 'value:1m')).bytes!.length, MIB);
});

t.test('a pool filled by requests that no server takes', async (t) => {
  const deaf = await FakeBackend.start(t, (request) => request.reply('+OK\r\n'));
  deaf.isDeaf = true;
  const baton = await Baton.start(t, {
    servers: [deaf], global: { shm_max: '64m' }, pool: { link_queue_limit: '1g' },
  });
  const [worker] = baton.workers();
  const senders = await Promise.all(Array.from({ length: 8 }, () => baton.client()));
  const big = encode(['SET', 'big', Buffer.alloc(MIB, 'x')]);
  for (const sender of senders) for (let i = 0; i < 20; i += 1) sender.push(big);
  await waitFor('the pool to be full', () => isFull(baton));
  deaf.hear();
  for (const sender of senders) {
    const replies = await sender.replies(20, 30_000);
    const strange = replies.filter((reply) => plain(reply) !== 'OK');
    t.same(strange.map((reply) => show(reply.raw)), [], 'they were held up, not refused');
  }
  await waitFor('all memory to be free', () => isEmpty(baton));
  t.same(baton.workers(), [worker], 'the worker lived on');
});

t.test('a request larger than the pool: refused, and only this client suffers', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { shm_max: '64m' } });
  const [giant, other] = [await baton.client(), await baton.client()];
  giant.push(`*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$${200 * MIB}\r\n`);
  const sending = (async (): Promise<void> => {
    const block = Buffer.alloc(MIB, 'x');
    for (let i = 0; i < 200 && !giant.isClosed; i += 1) await giant.send(block);
  })().catch(() => {});
  await waitFor('it to be refused', async () => {
    const isAlive = await isServed(other);
    return giant.isClosed && isAlive;
  }, 20_000);
  giant.destroy();
  await sending;
  await waitFor('service', () => isServed(other));
  await waitFor('all memory to be free', () => isEmpty(baton));
});

t.test('a merged reply for which there is no room: only its client goes, with a reason', async (t) => {
  const servers = [redis, await Redis.start(t), await Redis.start(t)];
  const baton = await Baton.start(t, {
    servers, global: { shm_max: '64m' }, pool: { client_output_limit: '1g', hash: 'md5' },
  });
  const [client, other] = [await baton.client(), await baton.client()];
  const keys = Array.from({ length: 40 }, (_, i) => `value:${i}`);
  const value = Buffer.alloc(MIB, 'x');
  for (const key of keys) t.equal(plain(await client.command('SET', key, value)), 'OK');
  client.push(encode(['MGET', ...keys])); // 40 MiB in parts, and 40 more as one
  await client.closed(30_000);
  await baton.logged(/no memory left for it: shm_max/);
  t.ok(await isServed(other), 'the other is served');
  await waitFor('all memory to be free', () => isEmpty(baton));
  client.destroy();
});

const FULL = /EMFILE|open files|max_openfiles|descriptor|max number of clients/i;

t.test('no descriptors left: the connected are served, others wait, nothing spins', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { max_openfiles: 1250 } });
  const [worker] = baton.workers();
  const clients = await Promise.all(Array.from({ length: 150 }, () => baton.client()));
  const answered = new Set<Client>();
  for (const client of clients) {
    client.push(encode(['SET', 'small', 'x']));
    void client.reply(60_000).then((reply) => {
      if (plain(reply) === 'OK') answered.add(client);
    }, () => {});
  }
  await waitFor('most to be served', () => answered.size > 30);
  await waitFor('the lane to notice', async () =>
    await baton.metric('baton_lane_accept_errors_total') > 0 || answered.size < 150);
  const before = cpuMsOf(worker!);
  await pass(1000); // nothing is to happen now: that is what is measured
  t.ok(cpuMsOf(worker!) - before < 300, `${cpuMsOf(worker!) - before} ms of CPU in an idle second`);
  const count = answered.size;
  t.ok(count < 150, `${count} of 150 were served: 1024 and 65 of 1250 descriptors are not for clients`);
  const first = [...answered][0]!;
  t.ok(await isServed(first), 'the connected are served');
  for (const client of [...answered].slice(1)) client.destroy();
  const late = await baton.client();
  t.equal(plain(await late.command('PING')), 'PONG', 'newcomers are served when there is room');
  await baton.logged(FULL);
  const lines = baton.log.split('\n').filter((line) => FULL.test(line));
  t.ok(lines.length < 20, `${lines.length} log lines, not one per attempt`);
  t.same(baton.workers(), [worker]);
});

t.test('thousands of connections come and go, and leave nothing', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  for (let round = 0; round < 10; round += 1) {
    const clients = await Promise.all(Array.from({ length: 200 }, () => baton.client()));
    const served = await Promise.all(clients.map(isServed));
    t.notOk(served.includes(false));
    for (const [i, client] of clients.entries()) {
      if (i % 2 === 0) client.reset();
      else client.destroy();
    }
  }
  await waitFor('no clients', async () => await baton.metric('baton_pool_clients') === 0);
  await waitFor('no chunks', () => isEmpty(baton));
  t.equal(await baton.metric('baton_pool_connections_total') >= 2000, true);
});
