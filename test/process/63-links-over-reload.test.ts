/**
 * Goal: a reload may change how servers are reached (how many connections, which password, which
 *   database) under sessions that stay: nothing is lost, doubled or out of order.
 * Method: servers that keep requests until the test answers them, and see on which connection each
 *   comes; a load that checks every byte while the number of connections changes.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { isFlawless } from '../support/exact-load.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { edit, reload } from '../support/hot-restart.js';
import { Redis } from '../support/redis.js';
import { errorText } from '../support/resp.js';
import { startUnderLoad } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const CLIENTS = 8;

function keyOf({ args }: Received): string {
  return String(args[0]);
}

/** Answers GET with the key. To be called in the order in which requests came on a connection. */
function echo(request: Received): void {
  request.reply(`$${keyOf(request).length}\r\n${keyOf(request)}\r\n`);
}

t.test('more and fewer connections under load', async (t) => {
  const servers = await Redis.startMany(t, 3);
  const { baton, load } = await startUnderLoad(t, servers);
  const links = async (): Promise<number> => {
    const counts = await Promise.all(servers.map((server) => server.call('CLIENT', 'LIST')));
    return counts.join('\n').split('\n').filter((line) => line.includes('addr=')).length;
  };
  const most = servers.length * (2 * 2 * 2 + 1); // pools, protocols, workers; and the one that asks
  edit(baton, /^( {4}preconnect: true)$/gm, '$1\n    server_connections: 1');
  for (const [from, to] of [[1, 3], [3, 2], [2, 1]]) {
    edit(baton, new RegExp(`server_connections: ${from}`, 'g'), `server_connections: ${to}`);
    await reload(baton);
    t.same((await load.round()).trouble, [], `with ${to} connections`);
  }
  await waitFor('the connections beyond one to be closed', async () => await links() <= most);
  isFlawless(t, await load.finish());
});

t.test('a client goes on by another connection when all before is answered', async (t) => {
  const kept: Received[] = [];
  const backend = await FakeBackend.start(t, (request) => { kept.push(request); });
  const baton = await Baton.start(t, { servers: [backend], pool: { server_connections: 1 } });
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => baton.client()));
  clients.forEach((client, i) => client.push(`GET first:${i}\r\n`));
  await waitFor('a request of each client', () => kept.length === CLIENTS);
  edit(baton, 'server_connections: 1', 'server_connections: 3');
  await reload(baton);
  clients.forEach((client, i) => client.push(`GET second:${i}\r\n`));
  const late = await baton.client();
  late.push('GET third\r\n');
  const seen = (key: string): Received | undefined => kept.find((each) => keyOf(each) === key);
  await waitFor('a client without requests under way to be served', () => seen('third'));
  for (let i = 0; i < CLIENTS; i += 1) {
    const second = seen(`second:${i}`);
    if (second === undefined) continue;
    t.equal(second.link, seen(`first:${i}`)!.link, 'who need not wait has not changed its link');
  }
  t.ok(kept.length < 2 * CLIENTS, 'some must wait');
  const firsts = kept.filter((each) => keyOf(each).startsWith('first'));
  firsts.forEach(echo);
  await waitFor('the others to go on', () => kept.length === 2 * CLIENTS + 1);
  t.ok(new Set(kept.map(({ link }) => link)).size > 1, 'by other connections');
  kept.filter((each) => !firsts.includes(each)).forEach(echo);
  for (const [i, client] of clients.entries()) {
    const replies = await client.replies(2);
    t.same(replies.map(({ bytes }) => String(bytes)), [`first:${i}`, `second:${i}`]);
  }
  t.equal(String((await late.reply()).bytes), 'third');
});

t.test('another password, and none', async (t) => {
  const redis = await Redis.start(t);
  await redis.call('SET', 'key', 'value');
  await redis.call('CONFIG', 'SET', 'requirepass', 'one');
  const baton = await Baton.start(t, { servers: [redis], pool: { redis_auth: 'one' } });
  const [client, stranger] = [await baton.client(), await baton.client()];
  t.equal(await client.call('AUTH', 'one'), 'OK');
  t.equal(await client.call('GET', 'key'), 'value');
  t.match(errorText(await stranger.command('GET', 'key')), /^NOAUTH/);

  await redis.call('CONFIG', 'SET', 'requirepass', 'two');
  edit(baton, 'redis_auth: one', 'redis_auth: two');
  await reload(baton);
  t.equal(await client.call('GET', 'key'), 'value', 'who was let in stays so');
  t.match(errorText(await stranger.command('AUTH', 'one')), /^WRONGPASS/);
  const newcomer = await baton.client();
  t.equal(await newcomer.call('AUTH', 'two'), 'OK');
  t.equal(await newcomer.call('GET', 'key'), 'value');

  await redis.call('CONFIG', 'SET', 'requirepass', '');
  edit(baton, /^ {4}redis_auth: two\n/m, '');
  await reload(baton);
  for (const each of [client, stranger, newcomer, await baton.client()]) {
    t.equal(await each.call('GET', 'key'), 'value', 'everybody is let in');
    t.equal(await each.call('PING'), 'PONG');
  }
});

t.test('another database', async (t) => {
  const redis = await Redis.start(t);
  await redis.call('SET', 'where', '0');
  await redis.call('SELECT', '5');
  await redis.call('SET', 'where', '5');
  const baton = await Baton.start(t, { servers: [redis], pool: { redis_db: 0 } });
  const client = await baton.client();
  t.equal(await client.call('GET', 'where'), '0');
  edit(baton, 'redis_db: 0', 'redis_db: 5');
  await reload(baton);
  t.equal(await client.call('GET', 'where'), '5');
});

t.test('a server that cannot be reached is tried on, and back when it is', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, {
    servers: [redis], pool: { reconnect_min: 20, reconnect_max: 200 },
  });
  const client = await baton.client();
  t.equal(await client.call('SET', 'key', 'value'), 'OK');
  await redis.kill();
  await waitFor('the loss to be seen', async () =>
    /refused|closed|reset/.test(errorText(await client.command('GET', 'key'))));
  for (let i = 0; i < 3; i += 1) {
    await reload(baton);
    t.match(errorText(await client.command('GET', 'key')), /^ERR server '.*': /, 'still refused');
  }
  await redis.up();
  await waitFor('the server to be back', async () => await client.call('SET', 'key', '2') === 'OK');
});
