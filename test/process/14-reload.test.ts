/**
 * Goal: HUP brings a new configuration into force by new workers while the old ones finish what
 *   they have; a configuration that cannot be had changes nothing and says why.
 * Method: the configuration file is rewritten under a running Baton.
 */
import t from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { Baton, type BatonOptions } from '../support/baton.js';
import { Client } from '../support/client.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { freePort } from '../support/free-port.js';
import { descriptorsOf, isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(120_000); // for the whole file, on a busy machine

const [redis, other] = await Redis.startMany(t, 2) as [Redis, Redis];

/** Rewrites the configuration by replacing text, which must be there. */
function edit(baton: Baton, from: string | RegExp, to: string): void {
  const text = readFileSync(baton.confFile, 'utf8');
  const next = text.replace(from, to);
  if (next === text) throw new Error(`${String(from)} is not in:\n${text}`);
  writeFileSync(baton.confFile, next);
}

function count(baton: Baton, event: string): number {
  return baton.log.split(`"event":"${event}"`).length - 1;
}

/** Sends HUP and waits until this reload is over, whether done or refused. */
async function reload(baton: Baton, outcome = 'drained'): Promise<void> {
  const before = count(baton, outcome);
  process.kill(baton.pid, 'SIGHUP');
  await waitFor(`${outcome} in the log:\n${baton.log.slice(-2000)}`, () =>
    count(baton, outcome) > before);
}

function start(scope: Scope, more: Partial<BatonOptions> = {}): Promise<Baton> {
  return Baton.start(scope, { servers: [redis], global: { worker_processes: 2 }, ...more });
}

t.test('new workers, new values, the same sockets', async (t) => {
  const baton = await start(t);
  const old = baton.workers();
  await redis.call('SET', 'where', 'first');
  await other.call('SET', 'where', 'second');
  t.equal((await (await baton.client()).call('GET', 'where'))?.toString(), 'first');

  edit(baton, redis.entry, other.entry);
  await reload(baton);
  const workers = baton.workers();
  t.equal(workers.length, 2);
  t.notOk(workers.some((pid) => old.includes(pid)));
  t.notOk(old.some(isAlive));
  const clients = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
  for (const client of clients) t.equal((await client.call('GET', 'where'))?.toString(), 'second');
  t.equal(count(baton, 'listening'), 1, 'the port has not been opened again');
});

t.test('old workers finish what is in flight, new ones serve meanwhile', async (t) => {
  const kept: Received[] = [];
  const slow = await FakeBackend.start(t, (request) => { kept.push(request); });
  const baton = await Baton.start(t, { servers: [slow] });
  const [worker] = baton.workers();
  const [busy, idle] = [await baton.client(), await baton.client()];
  const answer = busy.call('GET', 'key');
  await waitFor('the request to be in flight', () => kept.length === 1);

  edit(baton, slow.entry, redis.entry);
  process.kill(baton.pid, 'SIGHUP');
  await baton.logged(/"event":"reloaded"/);
  await idle.closed();
  t.equal(await (await baton.client()).call('SET', 'key', 'new'), 'OK');
  t.ok(isAlive(worker!), 'the old worker waits');
  t.equal(count(baton, 'drained'), 0);
  kept[0]!.reply('$3\r\nold\r\n');
  t.equal((await answer)?.toString(), 'old');
  await baton.logged(/"event":"drained"/);
  t.notOk(isAlive(worker!));
});

t.test('draining ends with worker_shutdown_timeout', async (t) => {
  const never = await FakeBackend.start(t, () => {});
  const baton = await Baton.start(t, {
    servers: [never], global: { worker_shutdown_timeout: '200ms' },
  });
  const busy = await baton.client();
  const answer = busy.command('GET', 'key').catch(() => 'cut off');
  await waitFor('the request to be in flight', () => never.requests.length === 1);
  await reload(baton);
  t.equal(await answer, 'cut off');
  t.match(baton.log, /"event":"drain_cut"/);
});

t.test('a HUP while old workers drain waits for them', async (t) => {
  const kept: Received[] = [];
  const slow = await FakeBackend.start(t, (request) => { kept.push(request); });
  const baton = await Baton.start(t, { servers: [slow] });
  const answer = (await baton.client()).call('GET', 'key');
  await waitFor('the request to be in flight', () => kept.length === 1);
  process.kill(baton.pid, 'SIGHUP');
  await baton.logged(/"event":"reloaded"/);
  for (let i = 0; i < 5; i += 1) process.kill(baton.pid, 'SIGHUP');
  t.equal(await (await baton.client()).call('PING'), 'PONG');
  t.equal(count(baton, 'reloading'), 1);
  kept[0]!.reply('$1\r\nx\r\n');
  t.equal((await answer)?.toString(), 'x');
  await waitFor('the second reload', () => count(baton, 'drained') === 2);
  t.equal(count(baton, 'reloading'), 2, 'five signals, one more reload');
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

t.test('addresses may come and go', async (t) => {
  const [first, second] = [await freePort(), await freePort()];
  const pool = { redis: true, servers: [redis.entry] };
  const baton = await start(t, { pools: { beta: { listen: `127.0.0.1:${first}`, ...pool } } });
  await reload(baton);
  edit(baton, `127.0.0.1:${first}`, `127.0.0.1:${second}`);
  await reload(baton);
  t.equal(await (await Client.open(t, second)).call('PING'), 'PONG');
  await t.rejects(Client.open(t, first), /ECONNREFUSED/);
  t.match(baton.log, new RegExp(`no longer listening on 127\\.0\\.0\\.1:${first}`));

  edit(baton, new RegExp(`  beta:(.|\\n)*$`), '');
  await reload(baton);
  await t.rejects(Client.open(t, second), /ECONNREFUSED/);
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});

t.test('a new address that is busy refuses the reload', async (t) => {
  const [baton, neighbour] = [await start(t), await start(t)];
  const workers = baton.workers();
  edit(baton, `listen: 127.0.0.1:${baton.port}`, `listen: 127.0.0.1:${neighbour.port}`);
  await reload(baton, 'reload_refused');
  t.match(baton.log, new RegExp(`listen: 127.0.0.1:${neighbour.port}: address already in use`));
  t.same(baton.workers(), workers);
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});

t.test('what needs a restart is said and stays', async (t) => {
  const baton = await start(t);
  edit(baton, 'worker_processes: 2', 'worker_processes: 3\n  log_level: debug');
  await reload(baton);
  t.match(baton.log, /"event":"conf_restart_only".*worker_processes: stays 2 until a restart/);
  t.equal(baton.workers().length, 2);
});

t.test('a configuration that outgrows the instance is refused', async (t) => {
  const baton = await start(t);
  const servers = Array.from({ length: 200 }, (_, i) => `     - 127.0.0.1:1:1 s${i}\n`).join('');
  edit(baton, /( +servers:\n)/, `$1${servers}`);
  await reload(baton, 'reload_refused');
  t.match(baton.log, /201 servers do not fit, .* was started with room for \d+: restart/);
});

t.test('workers that do not start leave the running ones alone', async (t) => {
  const baton = await start(t);
  const workers = baton.workers();
  edit(baton, 'worker_processes: 2', 'worker_processes: 2\n  worker_cpu_affinity: 1000');
  process.kill(baton.pid, 'SIGHUP');
  await baton.logged(/"event":"reload_failed"/);
  t.same(baton.workers().filter((pid) => workers.includes(pid)), workers);
  t.equal(await (await baton.client()).call('PING'), 'PONG');
  edit(baton, /\n  worker_cpu_affinity: .*/, '');
  await reload(baton);
  t.notOk(baton.workers().some((pid) => workers.includes(pid)), 'and the next reload is done');
});

t.test('ten reloads leave nothing behind', async (t) => {
  const baton = await start(t);
  for (let i = 0; i < 2; i += 1) await reload(baton);
  const master = descriptorsOf(baton.pid);
  const worker = descriptorsOf(baton.workers()[0]!);
  for (let i = 0; i < 10; i += 1) await reload(baton);
  t.equal(descriptorsOf(baton.pid), master, 'descriptors of the master');
  t.equal(descriptorsOf(baton.workers()[0]!), worker, 'descriptors of a worker');
  t.equal(await (await baton.client()).call('PING'), 'PONG');
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
  t.ok(await requests() >= before, 'totals never go backwards');
});
