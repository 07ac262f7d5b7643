/**
 * Goal: servers are reached by IPv4, IPv6, host name and unix socket, and clients may come over
 *   any of them.
 * Method: one Redis listens on all of these; one pool per way of writing its address.
 */
import t from 'tap';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { Redis } from '../support/redis.js';
import { errorText, plain } from '../support/resp.js';
import { scratch } from '../support/scratch.js';

const directory = scratch(t);
const socket = join(directory, 'redis.sock');
const redis = await Redis.start(t, ['--bind', '127.0.0.1 ::1', '--unixsocket', socket]);
const { port } = redis;

const WAYS: { [pool: string]: string } = {
  ipv4: `127.0.0.1:${port}:1`,
  ipv6: `[::1]:${port}:1`,
  ipv6bare: `::1:${port}:1`,
  name: `localhost:${port}:1`,
  named: `localhost:${port}:1 a_name`,
  unix: `${socket}:1`,
  unixnamed: `${socket}:1 a_name`,
};

t.test('servers', async (t) => {
  const pools = Object.fromEntries(Object.entries(WAYS).map(([name, server]) =>
    [name, { servers: [`"${server}"`] }]));
  const baton = await Baton.start(t, { pools });
  for (const name of Object.keys(WAYS)) {
    const client = await baton.client(baton.ports[name]!);
    const replies = await client.pipeline([['SET', 'way', name], ['GET', 'way'],
      ['HELLO', 3], ['GET', 'way']]);
    t.same([plain(replies[1]!), plain(replies[3]!)], [name, name], WAYS[name]);
    t.equal(await redis.call('GET', 'way'), name);
  }
});

t.test('a server whose name cannot be resolved', async (t) => {
  const baton = await Baton.start(t, {
    servers: ['no-such-host.invalid:6379:1'], pools: { beta: { servers: [redis.entry] } },
  });
  const [lost, other] = [await baton.client(), await baton.client(baton.ports.beta!)];
  t.match(errorText(await lost.command('GET', 'k')), /no-such-host\.invalid/);
  t.equal(await lost.call('PING'), 'PONG');
  t.equal(await other.call('SET', 'k', 'v'), 'OK');
  await baton.logged(/no-such-host\.invalid/);
});

t.test('a unix socket that is not there, then is', async (t) => {
  const late = join(scratch(t), 'late.sock');
  const baton = await Baton.start(t, { servers: [`${late}:1`], pool: { reconnect_max: 100 } });
  const client = await baton.client();
  t.match(errorText(await client.command('GET', 'k')), /^ERR /);
  const server = await Redis.start(t, ['--unixsocket', late]);
  await server.call('SET', 'k', 'there');
  let value = await client.call('GET', 'k');
  for (let tries = 0; tries < 1000 && value !== 'there'; tries += 1) {
    value = await client.call('GET', 'k');
  }
  t.equal(value, 'there');
});

t.test('clients over a unix socket with a mode', async (t) => {
  const path = join(directory, 'baton.sock');
  const baton = await Baton.start(t, {
    servers: [redis], pools: { local: { listen: `${path} 0660`, servers: [redis.entry] } },
    global: { worker_processes: 2 },
  });
  t.equal(statSync(path).mode & 0o777, 0o660);
  const clients = await Promise.all(Array.from({ length: 10 }, () => baton.client(path)));
  for (const [i, client] of clients.entries()) {
    const value = 'u'.repeat(i * 30_000);
    const replies = await client.pipeline([['SET', `u${i}`, value], ['GET', `u${i}`], ['PING']]);
    t.same(replies.map(plain), ['OK', value, 'PONG']);
  }
  for (const client of clients) client.destroy();
  await baton.stop();
  t.notOk(existsSync(path));
});
