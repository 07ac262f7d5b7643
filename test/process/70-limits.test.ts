/**
 * Goal: at every limit the one who caused it is held up, refused or closed, with a reason in the
 *   log and in the counters; nobody else is, and nothing grows without bound.
 * Method: clients and servers that stop reading or writing at the worst moment, while a bystander
 *   measures.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { FakeBackend, ownedKeys } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { encode, errorText, plain } from '../support/resp.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const MIB = 1024 * 1024;
const redis = await Redis.start(t);
await redis.call('SET', 'value:100k', 'x'.repeat(100_000));
await redis.call('SET', 'value:100m', Buffer.alloc(100 * MIB, 'y'));

const isEmpty = async (baton: Baton): Promise<boolean> =>
  await baton.metric('baton_lane_chunks') === 0;

t.test('a client that does not read is closed at client_output_limit', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], pool: { client_output_limit: '1m' } });
  const [glutton, other] = [await baton.client(), await baton.client()];
  glutton.pause();
  glutton.push(Buffer.concat(Array.from({ length: 400 }, () => encode(['GET', 'value:100k']))));
  await waitFor('it to be closed', async () => {
    t.equal(await other.call('GET', 'none'), null);
    return await baton.metric('baton_pool_errors_total', 'output_limit') === 1;
  });
  const line = await baton.logged(/client_output_limit/);
  t.match(line, String(glutton.localPort), 'the log tells which client');
  glutton.resume();
  await glutton.closed();
  t.ok(glutton.receivedBytes < 400 * 100_000, `${glutton.receivedBytes} bytes came`);
  t.equal(await other.call('STRLEN', 'value:100k'), 100_000);
  await waitFor('its memory to be free', () => isEmpty(baton));
});

t.test('a client that reads slowly, but within the limit, loses nothing', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], pool: { client_output_limit: '64m' } });
  const client = await baton.client();
  client.pause();
  client.push(Buffer.concat(Array.from({ length: 300 }, () => encode(['GET', 'value:100k']))));
  await waitFor('replies to be held', async () => await baton.metric('baton_lane_chunks') > 1000);
  client.resume();
  const replies = await client.replies(300);
  t.ok(replies.every((reply) => reply.bytes!.length === 100_000));
  await waitFor('its memory to be free', () => isEmpty(baton));
});

t.test('a client with too many requests in flight is read no further', async (t) => {
  const fake = await FakeBackend.start(t, () => {});
  const baton = await Baton.start(t, {
    servers: [fake], pool: { client_requests_max: 100 },
  });
  const [eager, other] = [await baton.client(), await baton.client()];
  eager.push(Buffer.concat(Array.from({ length: 5000 }, (_, i) => encode(['GET', `k${i}`]))));
  await waitFor('the first hundred', () => fake.requests.length >= 100);
  t.equal(await other.call('PING'), 'PONG');
  t.equal(fake.requests.length, 100, 'and no more');
  fake.handler = ({ args, reply }) => reply(`$${args[0]!.length}\r\n${args[0]!.toString()}\r\n`);
  for (const request of fake.requests.slice()) fake.handler(request);
  const replies = (await eager.replies(5000)).map(plain);
  t.equal(replies.findIndex((reply, i) => reply !== `k${i}`), -1, 'then all, in order');
});

t.test('a server that does not read: its clients wait, others do not, memory is bounded',
  async (t) => {
    const deaf = await FakeBackend.start(t, (request) => request.reply('+OK\r\n'));
    const lively = await FakeBackend.start(t, (request) => request.reply('+OK\r\n'));
    const baton = await Baton.start(t, {
      servers: [deaf, lively],
      pool: { distribution: 'modula', hash: 'md5', link_queue_limit: '1m' },
    });
    const other = await baton.client();
    const [deafKey, livelyKey] = await ownedKeys(other, [deaf, lively]);
    deaf.isDeaf = true;
    deaf.dropLinks();
    const senders = await Promise.all(Array.from({ length: 4 }, () => baton.client()));
    const big = encode(['SET', deafKey!, 'x'.repeat(MIB)]);
    for (const sender of senders) for (let i = 0; i < 20; i += 1) sender.push(big);
    await waitFor('the senders to be stalled', async () =>
      await baton.metric('baton_pool_stalls_total') > 0);
    for (let i = 0; i < 200; i += 1) t.equal(await other.call('SET', livelyKey!, 'x'), 'OK');
    const held = await baton.metric('baton_lane_chunks') * 4096;
    t.ok(held < 16 * MIB, `${held} bytes are held, of 80 MiB sent`);
    deaf.hear();
    for (const sender of senders) {
      const replies = await sender.replies(20, 30_000);
      t.ok(replies.every((reply) => plain(reply) === 'OK'));
    }
    await waitFor('the memory to be free', () => isEmpty(baton));
  });

const ROUND_TRIPS = 4000;
const FLOOR_MS = 0.3; // differences below this are the machine's, not Baton's

async function roundTrip(client: Client): Promise<number> {
  const from = performance.now();
  await client.command('GET', 'small');
  return performance.now() - from;
}

/**
 * Compares a bystander on the stalled instance with a client of a calm one. Their round trips take
 * turns, so that whatever else this machine does at the time slows both alike.
 */
async function isUndisturbed(t: Pick<Tap, 'ok'>, bystander: Client, calm: Client): Promise<void> {
  const times: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUND_TRIPS; i += 1) {
    times[0].push(await roundTrip(bystander));
    times[1].push(await roundTrip(calm));
  }
  const [stalledMs, calmMs] = times.map((list) =>
    list.sort((a, b) => a - b)[Math.floor(ROUND_TRIPS * 0.99)]!) as [number, number];
  t.ok(stalledMs <= Math.max(2 * calmMs, calmMs + FLOOR_MS),
    `p99 ${stalledMs.toFixed(3)} ms, calm ${calmMs.toFixed(3)} ms`);
}

type Tap = typeof t;

const calmInstance = await Baton.start(t, { servers: [redis] });
const calm = await calmInstance.client();

t.test('a bystander of a 100 MB request that stops half-way', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const [sender, bystander] = [await baton.client(), await baton.client()];
  await bystander.call('SET', 'small', 'value');
  const half = Buffer.alloc(50 * MIB, 'z');
  await sender.send(`*3\r\n$3\r\nSET\r\n$6\r\nlarger\r\n$${100 * MIB}\r\n`);
  await sender.send(half);
  await isUndisturbed(t, bystander, calm);
  await sender.send(half);
  await sender.send('\r\n');
  t.equal(plain(await sender.reply(30_000)), 'OK');
  t.equal(await redis.call('STRLEN', 'larger'), 100 * MIB);
  await redis.call('DEL', 'larger');
  const leaver = await baton.client();
  await leaver.send(`*3\r\n$3\r\nSET\r\n$6\r\nlarger\r\n$${100 * MIB}\r\n`);
  await leaver.send(half);
  leaver.destroy();
  await waitFor('its memory to be free', () => isEmpty(baton));
  t.equal(await redis.call('EXISTS', 'larger'), 0);
});

t.test('a bystander of a 100 MB reply that is read half-way', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const [reader, bystander] = [await baton.client(), await baton.client()];
  await bystander.call('SET', 'small', 'value');
  reader.push(encode(['GET', 'value:100m']));
  await waitFor('half of it', () => reader.receivedBytes > 50 * MIB && (reader.pause(), true));
  await isUndisturbed(t, bystander, calm);
  reader.resume();
  const reply = await reader.reply(30_000);
  t.equal(reply.bytes!.length, 100 * MIB);
  t.ok(reply.bytes!.every((byte) => byte === 0x79));
  await waitFor('its memory to be free', () => isEmpty(baton));
});

t.test('a bystander of a server that stops half-way through a reply', async (t) => {
  let finish = (): void => {};
  const half = Buffer.alloc(5 * MIB, 'h');
  const slow = await FakeBackend.start(t, (request) => {
    request.reply(`$${10 * MIB}\r\n`);
    request.reply(half);
    finish = (): void => { request.reply(half); request.reply('\r\n'); };
  });
  const baton = await Baton.start(t, {
    servers: [redis], pools: { beta: { servers: [slow.entry] } },
  });
  const [reader, bystander] = [await baton.client(baton.ports.beta), await baton.client()];
  await bystander.call('SET', 'small', 'value');
  reader.push(encode(['GET', 'half']));
  await waitFor('the first half', () => reader.receivedBytes > 4 * MIB || slow.requests.length > 0);
  await isUndisturbed(t, bystander, calm);
  finish();
  t.equal((await reader.reply()).bytes!.length, 10 * MIB);
});

t.test('client_connections: more clients are told, and served when there is room', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], pool: { client_connections: 5 } });
  await waitFor('the starter\'s own client to be gone', async () =>
    await baton.metric('baton_pool_clients') === 0);
  const served = await Promise.all(Array.from({ length: 5 }, () => baton.client()));
  for (const client of served) t.equal(await client.call('PING'), 'PONG');
  for (let i = 0; i < 3; i += 1) {
    const refused = await baton.client();
    t.match(errorText(await refused.reply()), /^ERR max number of clients reached/);
    await refused.closed();
  }
  t.equal(await baton.metric('baton_pool_errors_total', 'client_limit'), 3);
  await baton.logged(/client_connections/);
  for (const client of served) t.equal(await client.call('GET', 'none'), null);
  served[0]!.destroy();
  await waitFor('a place', async () => {
    const client = await baton.client();
    return plain(await client.command('PING')) === 'PONG';
  });
});
