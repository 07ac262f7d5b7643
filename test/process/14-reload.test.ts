/**
 * Goal: HUP brings a new configuration into force while every session stays; what cannot be had
 *   changes nothing, or changes the rest, and is told.
 * Method: the configuration file is rewritten under a running Baton.
 */
import t from 'tap';
import { join } from 'node:path';
import { Baton, type BatonOptions } from '../support/baton.js';
import { Client } from '../support/client.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { freePort } from '../support/free-port.js';
import { connectionsOf, count, edit, reload } from '../support/hot-restart.js';
import { descriptorsOf, isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { errorText } from '../support/resp.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const [redis, other] = await Redis.startMany(t, 2) as [Redis, Redis];
await redis.call('SET', 'where', 'first');
await other.call('SET', 'where', 'second');

function start(scope: Scope, more: Partial<BatonOptions> = {}): Promise<Baton> {
  return Baton.start(scope, { servers: [redis], global: { worker_processes: 2 }, ...more });
}

function clientsOf(baton: Baton, many: number, address?: number | string): Promise<Client[]> {
  return Promise.all(Array.from({ length: many }, () => baton.client(address)));
}

/** A backend that keeps requests until the test answers them. */
async function keeping(scope: Scope): Promise<{ backend: FakeBackend; kept: Received[] }> {
  const kept: Received[] = [];
  const backend = await FakeBackend.start(scope, (request) => { kept.push(request); });
  return { backend, kept };
}

/** The last `reloaded` line's list of what has changed. */
function changes(baton: Baton): string[] {
  const line = baton.log.split('\n').findLast((each) => each.includes('"event":"reloaded"'));
  return (JSON.parse(line!) as { changes: string[] }).changes;
}

t.test('sessions stay as they are, new values serve them', async (t) => {
  const baton = await start(t);
  const old = baton.workers();
  const clients = await clientsOf(baton, 20);
  for (const [i, client] of clients.entries()) {
    if (i % 2 === 0) await client.command('HELLO', '3');
    t.equal(await client.call('CLIENT', 'SETNAME', `name${i}`), 'OK');
    t.equal(await client.call('GET', 'where'), 'first');
  }
  const ids = await Promise.all(clients.map((client) => client.call('CLIENT', 'ID')));
  edit(baton, redis.entry, other.entry);
  await reload(baton);
  const workers = baton.workers();
  t.equal(workers.length, 2);
  t.notOk(workers.some((pid) => old.includes(pid)), 'others serve');
  t.notOk(old.some(isAlive), 'the old ones are gone');
  for (const [i, client] of clients.entries()) {
    t.equal(await client.call('GET', 'where'), 'second');
    t.equal(await client.call('CLIENT', 'GETNAME'), `name${i}`);
    t.equal(await client.call('CLIENT', 'ID'), ids[i]);
    const nothing = await client.command('GET', 'nothing');
    t.equal(String(nothing.raw), i % 2 === 0 ? '_\r\n' : '$-1\r\n', 'and its protocol');
  }
  for (const client of await clientsOf(baton, 20)) {
    t.equal(await client.call('GET', 'where'), 'second', 'new clients too');
  }
  t.equal(count(baton, 'listening'), 1, 'the port has not been opened again');
});

t.test('connections to servers that stay, stay', async (t) => {
  const baton = await start(t, { servers: [redis, other] });
  const clients = await clientsOf(baton, 20);
  for (const client of clients) await client.pipeline([['SET', 'a', '1'], ['SET', 'c', '1']]);
  for (let i = 0; i < 30; i += 1) await clients[i % 20]!.call('SET', `key${i}`, '1');
  const before = await connectionsOf([redis, other]);
  for (let i = 0; i < 3; i += 1) await reload(baton);
  edit(baton, /^( {4}redis: true)$/m, '$1\n    client_requests_max: 10');
  await reload(baton);
  for (let i = 0; i < 30; i += 1) t.equal(await clients[i % 20]!.call('GET', `key${i}`), '1');
  t.same(await connectionsOf([redis, other]), before);
});

t.test('a removed server finishes what it has, then its links close', async (t) => {
  const { backend, kept } = await keeping(t);
  const baton = await Baton.start(t, { servers: [backend] });
  const [busy, idle] = await clientsOf(baton, 2) as [Client, Client];
  busy.push('GET first\r\nGET second\r\n');
  await waitFor('two requests to be in flight', () => kept.length === 2);
  edit(baton, backend.entry, redis.entry);
  await reload(baton);
  busy.push('GET where\r\n');
  t.equal(await idle.call('GET', 'where'), 'first', 'others are served by the new server');
  t.equal(backend.openLinks, 1, 'the old one still owes replies');
  t.equal(busy.waiting.length, 0, 'order is kept');
  kept[0]!.reply('$1\r\nx\r\n');
  kept[1]!.reply('$1\r\ny\r\n');
  t.same((await busy.replies(3)).map(({ bytes }) => String(bytes)), ['x', 'y', 'first']);
  await waitFor('the link to be closed', () => backend.openLinks === 0);
  t.equal(kept.length, 2);
});

t.test('a removed server that never answers is given up, the session is not', async (t) => {
  const never = await FakeBackend.start(t, () => {});
  const baton = await Baton.start(t, {
    servers: [never], global: { worker_shutdown_timeout: '300ms' },
  });
  const client = await baton.client();
  const answer = client.command('GET', 'key');
  await waitFor('the request to be in flight', () => never.requests.length === 1);
  edit(baton, never.entry, redis.entry);
  await reload(baton);
  t.match(errorText(await answer), /^ERR|^-?ERR|server|closed|removed/i);
  await waitFor('the link to be closed', () => never.openLinks === 0);
  t.equal(await client.call('GET', 'where'), 'first', 'the session goes on with the new server');
});

t.test('a deadline holds over a reload', async (t) => {
  const never = await FakeBackend.start(t, () => {});
  const baton = await Baton.start(t, { servers: [never], pool: { timeout: 1500 } });
  const client = await baton.client();
  const began = performance.now();
  const answer = client.command('GET', 'key');
  await waitFor('the request to be in flight', () => never.requests.length === 1);
  await reload(baton);
  t.match(errorText(await answer), /timed out/);
  const tookMs = performance.now() - began;
  t.ok(tookMs >= 1490 && tookMs < 4000, `answered after ${tookMs} ms`);
});

t.test('pools come and go; sessions of a removed one end when idle', async (t) => {
  const { backend, kept } = await keeping(t);
  const port = await freePort();
  const baton = await start(t);
  const stays = await baton.client();
  const path = join(scratch(t), 'gamma.sock');
  edit(baton, /$/, `  beta:\n    listen: 127.0.0.1:${port}\n    redis: true\n`
    + `    servers:\n     - ${backend.entry}\n`
    + `  gamma:\n    listen: ${path}\n    redis: true\n    servers:\n     - ${other.entry}\n`);
  await reload(baton);
  t.match(changes(baton).join('\n'), /pool beta: added/);
  const gamma = await Client.open(t, path);
  t.equal(await gamma.call('GET', 'where'), 'second', 'a new pool at once, also on a path');
  const [busy, idle] = await clientsOf(baton, 2, port) as [Client, Client];
  t.equal(await idle.call('PING'), 'PONG');
  const answer = busy.call('GET', 'key');
  await waitFor('the request to be in flight', () => kept.length === 1);

  edit(baton, / {2}beta:(.|\n)*$/, '');
  await reload(baton);
  t.match(changes(baton).join('\n'), /pool beta: removed/);
  await idle.closed();
  await gamma.closed();
  await t.rejects(Client.open(t, port), /ECONNREFUSED/);
  await t.rejects(Client.open(t, path), /ENOENT|ECONNREFUSED/);
  t.notOk(busy.isClosed, 'what is under way is finished');
  kept[0]!.reply('$5\r\nvalue\r\n');
  t.equal(await answer, 'value');
  await busy.closed();
  t.equal(await stays.call('GET', 'where'), 'first', 'others have noticed nothing');
});

t.test('a request of a removed pool waits no longer than worker_shutdown_timeout', async (t) => {
  const never = await FakeBackend.start(t, () => {});
  const port = await freePort();
  const baton = await start(t, {
    global: { worker_shutdown_timeout: '300ms' },
    pools: { beta: { listen: `127.0.0.1:${port}`, servers: [never.entry] } },
  });
  const [stays, busy] = [await baton.client(), await Client.open(t, port)];
  const answer = busy.command('GET', 'key').catch(() => 'cut off');
  await waitFor('the request to be in flight', () => never.requests.length === 1);
  edit(baton, / {2}beta:(.|\n)*$/, '');
  await reload(baton);
  t.equal(await answer, 'cut off');
  t.equal(await stays.call('PING'), 'PONG');
});

t.test('an address may change; sessions of the old one drain', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const beta = { redis: true, servers: [redis.entry], listen: `127.0.0.1:${first}` };
  const baton = await start(t, { pools: { beta } });
  const old = await Client.open(t, first);
  t.equal(await old.call('PING'), 'PONG');
  edit(baton, `127.0.0.1:${first}`, `127.0.0.1:${second}`);
  await reload(baton);
  t.equal(await (await Client.open(t, second)).call('PING'), 'PONG');
  await t.rejects(Client.open(t, first), /ECONNREFUSED/);
  await old.closed();
  t.match(baton.log, new RegExp(`no longer listening on 127\\.0\\.0\\.1:${first}`));
});

t.test('limits and log level', async (t) => {
  const baton = await start(t);
  const clients = await clientsOf(baton, 3);
  for (const client of clients) t.equal(await client.call('PING'), 'PONG');
  t.notMatch(baton.log, /"level":"debug"/);
  edit(baton, /^( {4}redis: true)$/m, '$1\n    client_connections: 3');
  edit(baton, /^(pools:)/m, '  log_level: debug\n$1');
  await reload(baton);
  t.match(changes(baton).join('\n'), /log_level: info → debug/);
  t.match(changes(baton).join('\n'), /pool alpha: client_connections: 0 → 3/);
  const refused = await baton.client();
  t.match(errorText(await refused.reply()), /max number of clients/);
  await refused.closed();
  for (const client of clients) t.equal(await client.call('PING'), 'PONG', 'those inside stay');
  await reload(baton);
  t.match(baton.log, /"level":"debug"/);
});

t.test('the log tells what share of the keys moves', async (t) => {
  const baton = await start(t, { servers: [redis, other], pool: { distribution: 'modula' } });
  edit(baton, /( +servers:\n)/, `$1     - ${redis.entry.replace(/1$/, '2')} heavy\n`);
  await reload(baton);
  t.match(changes(baton).join('\n'), /pool alpha: servers: .*\d+(\.\d+)? % of the keys move/);
});

t.test('fewer workers are refused by name, the rest is applied', async (t) => {
  const baton = await start(t);
  const clients = await clientsOf(baton, 10);
  edit(baton, 'worker_processes: 2', 'worker_processes: 1');
  edit(baton, redis.entry, other.entry);
  await reload(baton);
  t.match(baton.log, /worker_processes: .*2/);
  t.match(baton.log, /"event":"workers_not_removed"/);
  t.equal(baton.workers().length, 2);
  for (const client of clients) t.equal(await client.call('GET', 'where'), 'second');
});

t.test('more workers: lanes are added, nobody moves', async (t) => {
  const path = join(scratch(t), 'baton.sock');
  const baton = await Baton.start(t, {
    servers: [redis], pools: { unix: { listen: path, servers: [redis.entry] } },
  });
  const clients = [...await clientsOf(baton, 10), ...await clientsOf(baton, 10, path)];
  for (const client of clients) t.equal(await client.call('PING'), 'PONG');
  edit(baton, 'worker_processes: 1', 'worker_processes: 3');
  await reload(baton);
  t.equal(baton.workers().length, 3);
  for (const client of clients) {
    t.match(await client.call('CLIENT', 'INFO'), / lane=0\b/, 'the same session, the same lane');
  }
  const more = await clientsOf(baton, 60);
  const lanes = new Set<string>();
  for (const client of more) {
    lanes.add(/ lane=(\d+)/.exec(String(await client.call('CLIENT', 'INFO')))![1]!);
  }
  t.same([...lanes].sort(), ['0', '1', '2'], 'every lane gets its share of new ones');
  await reload(baton);
  t.equal(baton.workers().length, 3, 'and they stay');
});

t.test('a bad configuration: every mistake is logged, nothing changes', async (t) => {
  const baton = await start(t);
  const workers = baton.workers();
  const client = await baton.client();
  edit(baton, /$/, `  beta:\n    listen: 127.0.0.1:${await freePort()}\n    hash: md6\n`);
  await reload(baton, 'reload_refused');
  const mistakes = baton.log.split('\n').filter((line) => line.includes('"event":"conf_mistake"'));
  t.match(mistakes.map((line) => (JSON.parse(line) as { msg: string }).msg),
    [/:\d+:\d+: servers: is missing/, /:\d+:\d+: redis: /, /:\d+:\d+: hash: /]);
  t.same(baton.workers(), workers);
  t.equal(await client.call('PING'), 'PONG', 'the same connection');
});

t.test('a new address that is busy refuses the reload', async (t) => {
  const [baton, neighbour] = [await start(t), await start(t)];
  const workers = baton.workers();
  const client = await baton.client();
  edit(baton, `listen: 127.0.0.1:${baton.port}`, `listen: 127.0.0.1:${neighbour.port}`);
  await reload(baton, 'reload_refused');
  t.match(baton.log, new RegExp(`listen: 127.0.0.1:${neighbour.port}: address already in use`));
  t.same(baton.workers(), workers);
  t.equal(await client.call('PING'), 'PONG');
  t.equal(await (await baton.client()).call('PING'), 'PONG', 'the old address is still open');
});

t.test('a configuration that outgrows the instance is refused', async (t) => {
  const baton = await start(t);
  const client = await baton.client();
  const servers = Array.from({ length: 200 }, (_, i) => `     - 127.0.0.1:1:1 s${i}\n`).join('');
  edit(baton, /( +servers:\n)/, `$1${servers}`);
  await reload(baton, 'reload_refused');
  t.match(baton.log, /restart/);
  t.equal(await client.call('PING'), 'PONG');
});

t.test('what needs a restart is said and stays', async (t) => {
  const baton = await start(t);
  const [client, stats] = [await baton.client(), baton.statsPort];
  edit(baton, `stats: 127.0.0.1:${stats}`, `stats: 127.0.0.1:${await freePort()}`);
  edit(baton, redis.entry, other.entry);
  await reload(baton);
  t.match(baton.log, new RegExp(`"event":"conf_restart_only".*stats: stays .*${stats}`));
  t.ok('alpha' in await baton.stats(), 'it answers where it did');
  t.equal(await client.call('GET', 'where'), 'second', 'the rest is applied');
});

t.test('new workers that do not start: the old ones have never stopped', async (t) => {
  const baton = await start(t);
  const workers = baton.workers();
  const client = await baton.client();
  edit(baton, /^(pools:)/m, '  worker_cpu_affinity: 1000\n$1');
  await reload(baton, 'reload_failed');
  t.same(baton.workers(), workers);
  t.equal(await client.call('PING'), 'PONG');
  edit(baton, /\n {2}worker_cpu_affinity: .*/, '');
  await reload(baton);
  t.notOk(baton.workers().some((pid) => workers.includes(pid)), 'and the next reload is done');
  t.equal(await client.call('PING'), 'PONG', 'for the same session');
});

t.test('ten reloads leave nothing behind', async (t) => {
  const baton = await start(t);
  const client = await baton.client();
  for (let i = 0; i < 2; i += 1) await reload(baton);
  const master = descriptorsOf(baton.pid);
  const worker = descriptorsOf(baton.workers()[0]!);
  const family = baton.family().length;
  for (let i = 0; i < 10; i += 1) await reload(baton);
  t.equal(await client.call('PING'), 'PONG');
  t.equal(descriptorsOf(baton.pid), master, 'descriptors of the master');
  t.equal(descriptorsOf(baton.workers()[0]!), worker, 'descriptors of a worker');
  await waitFor('as many processes', () => baton.family().length === family);
});

t.test('counters go on over reloads', async (t) => {
  const baton = await start(t);
  const client = await baton.client();
  await client.pipeline(Array.from({ length: 100 }, () => ['GET', 'x']));
  const requests = (): Promise<number> => baton.metric('baton_pool_requests_total');
  const before = await requests();
  t.ok(before >= 100);
  await reload(baton);
  await reload(baton);
  t.equal(await baton.metric('baton_pool_clients', 'alpha'), 1, 'the session is counted once');
  await client.call('GET', 'x');
  t.ok(await requests() >= before + 1, 'totals never go backwards');
});
