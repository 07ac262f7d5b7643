/**
 * Goal: with server_connections_scope: proxy each server sees the connections of one lane, whichever
 *   lane a client is in, and no client can tell: order, errors, times and limits are those of a
 *   worker's own links, through reloads, upgrades and deaths of the home lane and of others.
 * Method: real servers count their connections; an exact load goes through all lanes meanwhile; and
 *   scripted servers hang, cut and answer late.
 */
import t, { type Test } from 'tap';
import { LaneHead, TableNumber } from '../../src/tables/columns.gen.js';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { isFlawless } from '../support/exact-load.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { commit, edit, isServedBy, reload, upgrade } from '../support/hot-restart.js';
import { LaneMemory } from '../support/lane-memory.js';
import { Redis } from '../support/redis.js';
import { errorText, plain } from '../support/resp.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(600_000); // for the whole file, on a busy machine

const LANES_MAX = 64;
const SHARED = { server_connections_scope: 'proxy', hash: 'md5', reconnect_min: 20, reconnect_max: 200 };
const CHECKS = { environment: { BATON_CHECKS: '1' } };
const servers = await Redis.startMany(t, 3);

const start = (t: Test, lanes: number, those: readonly (Redis | FakeBackend)[], pool = {}, more = {}) =>
  Baton.start(t, { servers: those, pool: { ...SHARED, ...pool }, ...CHECKS, ...more,
    global: { worker_processes: lanes, worker_standby: 0 } });

/** A client in each lane. */
async function clientsOf(baton: Baton, lanes: number): Promise<Client[]> {
  const found: Client[] = [];
  while (Object.keys(found).length < lanes) {
    const client = await baton.client();
    const lane = (Number(await client.call('CLIENT', 'ID')) - 1) % LANES_MAX;
    if (found[lane] === undefined) found[lane] = client;
    else client.destroy();
  }
  return found;
}

/** Connections of Baton's that a server has: who asks has one, too. */
async function linksOf(server: Redis): Promise<number> {
  const list = String(await server.call('CLIENT', 'LIST'));
  return list.trim().split('\n').length - 1;
}

t.test('one connection for each protocol, from whichever lane', async (t) => {
  const baton = await start(t, 4, servers);
  const clients = await clientsOf(baton, 4);
  const keys = Array.from({ length: 60 }, (_, i) => `key:${i}`);
  for (const client of clients) {
    for (const key of keys) t.equal(await client.call('SET', key, `${key}!`), 'OK');
    t.same(await client.call('MGET', ...keys), keys.map((key) => `${key}!`));
    t.equal(await client.call('DEL', ...keys.slice(0, 30)), 30);
    t.equal(await client.call('MSET', ...keys.flatMap((key) => [key, 'v'])), 'OK');
  }
  for (const server of servers) t.equal(await linksOf(server), 1);
  for (const client of clients) {
    await client.call('HELLO', '3');
    t.same(await client.call('MGET', ...keys), keys.map(() => 'v'));
  }
  for (const server of servers) t.equal(await linksOf(server), 2);
  const names = ['server_requests', 'server_responses', 'pool_requests', 'pool_replies'];
  const counts = () => Promise.all(names.map((name) => baton.metric(`baton_${name}_total`)));
  const before = await counts();
  for (const client of clients) await client.pipeline(keys.map((key) => ['GET', key]));
  t.same(await counts(), before.map((count) => count + 4 * keys.length), 'each is counted once');
  t.equal(await baton.metric('baton_server_connections'), 6);
  t.equal(await baton.metric('baton_pool_clients'), 4);
  const list = String(await clients[0]!.call('CLIENT', 'LIST'));
  t.equal(list.trim().split('\n').length, 4, 'clients only');
});

t.test('order in a pipeline over all servers', async (t) => {
  const baton = await start(t, 2, servers);
  for (const client of await clientsOf(baton, 2)) {
    for (let round = 0; round < 20; round++) {
      const names = Array.from({ length: 200 }, (_, i) => `p:${round}:${i}`);
      const replies = await client.pipeline(names.flatMap((name) => [['SET', name, name], ['GET', name]]));
      t.same(replies.map(plain), names.flatMap((name) => ['OK', name]));
    }
  }
});

t.test('values of 10 MB, both ways, and others meanwhile', async (t) => {
  const baton = await start(t, 2, servers.slice(0, 1));
  const value = Buffer.alloc(10 << 20, 'abcdefghijk');
  for (const client of await clientsOf(baton, 2)) {
    const other = await baton.client();
    t.equal(await client.call('SET', 'large', value), 'OK');
    t.equal(await client.call('SET', 'small', '1'), 'OK');
    const whole = client.pipeline([['GET', 'large'], ['GET', 'small'], ['STRLEN', 'large']]);
    for (let i = 0; i < 20; i++) t.equal(await other.call('INCR', 'n'), Number(await other.call('GET', 'n')));
    const [large, small, length] = await whole;
    t.ok(Buffer.from(large!.bytes!).equals(value), 'what was stored');
    t.equal(plain(small!), '1');
    t.equal(plain(length!), value.length);
  }
});

t.test('who does not read holds up nobody, and is closed at his limit', async (t) => {
  const baton = await start(t, 2, servers.slice(0, 1), { client_output_limit: '32m' });
  const clients = await clientsOf(baton, 2);
  await clients[0]!.call('SET', 'large', Buffer.alloc(8 << 20, 'x'));
  const deaf = await clientsOf(baton, 2);
  for (const client of deaf) {
    client.pause();
    for (let i = 0; i < 8; i++) client.push('*2\r\n$3\r\nGET\r\n$5\r\nlarge\r\n');
  }
  for (let i = 0; i < 30; i++) {
    for (const client of clients) t.equal(await client.call('SET', `k${i}`, 'v'), 'OK');
  }
  await waitFor('both to be closed', () => baton.log.split('client_output_limit is reached').length === 3);
});

t.test('a client that leaves, with requests under way', async (t) => {
  const held: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => held.push(request));
  const baton = await start(t, 2, [fake]);
  const clients = await clientsOf(baton, 2);
  for (const client of clients) client.push('*2\r\n$3\r\nGET\r\n$4\r\ngone\r\n'.repeat(10));
  await waitFor('all requests', () => held.length === 20);
  for (const client of clients) client.destroy();
  const next = await clientsOf(baton, 2);
  const asked = next.map((client) => client.call('GET', 'mine'));
  await waitFor('the next requests', () => held.length === 22);
  for (const request of held) request.reply(`+${request.args[0]!.toString()}\r\n`);
  t.same(await Promise.all(asked), ['mine', 'mine'], 'late replies are nobody\'s');
});

t.test('a server that dies, and is back', async (t) => {
  const [redis] = await Redis.startMany(t, 1);
  const baton = await start(t, 2, [redis!]);
  const clients = await clientsOf(baton, 2);
  for (const client of clients) await client.call('SET', 'k', 'v');
  await redis!.kill();
  for (const client of clients) t.match(errorText(await client.command('GET', 'k')), /server/);
  await redis!.up();
  for (const client of clients) {
    await waitFor('the server to be back', async () => plain(await client.command('SET', 'k', 'w')) === 'OK');
  }
  t.equal(await linksOf(redis!), 1);
});

t.test('a server that does not answer', async (t) => {
  let isMute = true;
  const fake = await FakeBackend.start(t, (request) => { if (!isMute) request.reply('+OK\r\n'); });
  const baton = await start(t, 2, [fake, ...servers.slice(0, 1)], { timeout: 200, distribution: 'modula' });
  const clients = await clientsOf(baton, 2);
  const replies = await Promise.all(clients.flatMap((client) =>
    [client.pipeline(Array.from({ length: 20 }, (_, i) => ['SET', `k${i}`, 'v']))]));
  for (const each of replies) {
    t.ok(each.some((reply) => /timed out/.test(errorText(reply))), 'some are late');
    t.ok(each.some((reply) => plain(reply) === 'OK'), 'another server\'s are not');
  }
  isMute = false;
  for (const client of clients) {
    await waitFor('it to answer again', async () =>
      (await client.pipeline(Array.from({ length: 20 }, (_, i) => ['SET', `k${i}`, 'v'])))
        .every((reply) => plain(reply) === 'OK'));
  }
});

t.test('a reload brings a server and a pool', async (t) => {
  const baton = await start(t, 2, servers.slice(0, 2));
  const clients = await clientsOf(baton, 2);
  const keys = Array.from({ length: 40 }, (_, i) => `new:${i}`);
  edit(baton, /( +)servers:\n/, `$1servers:\n$1 - ${servers[2]!.entry}\n`);
  let isDone = false;
  const asking = clients.map(async (client) => {
    for (let isLast = false; !isLast;) {
      isLast = isDone; // once more when all lanes know the server
      const replies = await client.pipeline(keys.map((key) => ['SET', key, 'v']));
      t.ok(replies.every((reply) => plain(reply) === 'OK'), 'nothing is lost meanwhile');
    }
  });
  await reload(baton);
  isDone = true;
  await Promise.all(asking);
  await waitFor('one link each', async () => (await Promise.all(servers.map(linksOf))).join() === '1,1,1');
});

t.test('a home lane that begins anew', async (t) => {
  const baton = await start(t, 2, servers.slice(0, 2), { timeout: 2000 }, { mayBeDamaged: true });
  const clients = await clientsOf(baton, 2);
  const keys = Array.from({ length: 40 }, (_, i) => `anew:${i}`);
  const set = (client: Client) => client.pipeline(keys.map((key) => ['SET', key, key]));
  for (const client of clients) await set(client);
  const memory = LaneMemory.open(baton.memory, 0);
  const { pid } = baton.lanes()[0]!.owner!;
  process.kill(pid, 'SIGSTOP');
  memory.write(TableNumber.LaneHead, 0, LaneHead.Guard, 0);
  memory.close();
  const asked = set(clients[1]!);
  process.kill(pid, 'SIGKILL');
  await asked; // each is answered, if only by an error
  await clients[0]!.closed();
  await waitFor('all to be well', async () =>
    (await set(clients[1]!)).every((reply) => plain(reply) === 'OK'), 20_000);
  const replies = await clients[1]!.pipeline(keys.map((key) => ['GET', key]));
  t.same(replies.map(plain), keys, 'no reply of before has come');
  t.equal(await baton.metric('baton_lane_cold_starts_total'), 1);
  await waitFor('one link each', async () => (await Promise.all(servers.slice(0, 2).map(linksOf))).join() === '1,1');
});

t.test('reloads, an upgrade and deaths of both lanes, under an exact load', async (t) => {
  const options = { pool: SHARED, global: { worker_standby: 1 }, ...CHECKS };
  const { baton, load } = await startUnderLoad(t, servers, options, { ...TCP_ONLY, patienceMs: 60_000 });
  for (let i = 0; i < 2; i++) {
    await reload(baton);
    t.same((await load.round()).trouble, [], 'a reload');
  }
  await upgrade(baton);
  t.same((await load.round()).trouble, [], 'an upgrade');
  await commit(baton);
  for (let lane = 0; lane < 4; lane++) {
    const { pid } = baton.lanes()[lane % 2]!.owner!;
    process.kill(pid, 'SIGKILL');
    await waitFor('another owner', () =>
      isServedBy(baton, baton.pid) && baton.lanes()[lane % 2]!.owner!.pid !== pid, 20_000);
    t.same((await load.round()).trouble, [], `a death of lane ${lane % 2}`);
  }
  isFlawless(t, await load.finish());
});

t.test('the scope changes, back and forth, under an exact load', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { pool: SHARED, ...CHECKS }, { patienceMs: 60_000 });
  for (const [from, to] of [['proxy', 'worker'], ['worker', 'proxy']] as const) {
    edit(baton, new RegExp(`server_connections_scope: ${from}`, 'g'), `server_connections_scope: ${to}`);
    await reload(baton);
    t.same((await load.round()).trouble, [], `to ${to}`);
  }
  isFlawless(t, await load.finish());
});
