/**
 * Goal: Baton listens where it is told, in every form of address; where it cannot, it says so in
 *   one line per address and leaves alone what is not its own.
 * Method: /proc/net/tcp counts listening sockets; real connections check the rest.
 */
import t, { type Test } from 'tap';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { runBaton } from '../support/command.js';
import { fullConf, type Directives } from '../support/conf.js';
import { freePort } from '../support/free-port.js';
import { removeMemory } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { within } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const redis = await Redis.start(t);
const pool = (listen: string, more: Directives = {}): Directives =>
  ({ listen, redis: true, ...more, servers: [redis.entry] });

/** Listening TCP sockets on a port, by the kernel's table; state 0A is LISTEN. */
function listening(port: number, table = 'tcp'): number {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync(`/proc/net/${table}`, 'utf8').split('\n')
    .filter((line) => new RegExp(`^\\s*\\d+: [0-9A-F]+:${hex} \\S+ 0A `).test(line)).length;
}

/** Starts Baton with these pools and expects it to end with exit code 2. Returns its lines. */
async function refusal(t: Test, pools: { [name: string]: Directives }): Promise<string[]> {
  const directory = scratch(t);
  writeFileSync(join(directory, 'c.yml'), fullConf({ worker_processes: 1 }, pools));
  const { code, err } = await runBaton(['-c', 'c.yml', '-p', 'b.pid'], directory);
  t.equal(code, 2);
  t.notOk(existsSync(join(directory, 'b.pid')));
  return err.split('\n').filter((line) => line.startsWith('c.yml:'));
}

async function ping(t: Scope, host: string, port: number): Promise<string> {
  const socket = connect(port, host);
  t.teardown(() => socket.destroy());
  return within(`an answer of ${host}`, new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('data', (bytes) => resolve(bytes.toString()));
    socket.write('PING\r\n');
  }));
}

t.test('reuseport on: a socket for each worker; clients reach both', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  t.equal(listening(baton.port), 2);
  const clients = await Promise.all(Array.from({ length: 40 }, () => baton.client()));
  for (const client of clients) t.equal(await client.call('PING'), 'PONG');
});

t.test('reuseport off: one socket for all', async (t) => {
  const baton = await Baton.start(t, {
    servers: [redis], global: { worker_processes: 2 }, pool: { reuseport: 'off' },
  });
  t.equal(listening(baton.port), 1);
  const clients = await Promise.all(Array.from({ length: 40 }, () => baton.client()));
  for (const client of clients) t.equal(await client.call('PING'), 'PONG');
});

t.test('a busy port is one line, whoever has it', async (t) => {
  const other = await Baton.start(t, { servers: [redis] }); // shares its port, as far as it goes
  const server = createServer();
  const taken = await freePort();
  await new Promise<void>((resolve) => { server.listen(taken, '127.0.0.1', resolve); });
  t.teardown(() => server.close());
  const lines = await refusal(t, {
    a: pool(`127.0.0.1:${other.port}`),
    b: pool(`127.0.0.1:${taken}`, { reuseport: 'off' }),
    c: pool(`127.0.0.1:${await freePort()}`),
    d: pool('192.0.2.1:6380'),
  });
  t.match(lines, [
    new RegExp(`^c\\.yml:\\d+:1: listen: 127\\.0\\.0\\.1:${other.port}: address already in use$`),
    new RegExp(`^c\\.yml:\\d+:1: listen: 127\\.0\\.0\\.1:${taken}: address already in use$`),
    /^c\.yml:\d+:1: listen: 192\.0\.2\.1:6380: cannot assign requested address$/,
  ], 'all of them at once');
  t.equal(lines.length, 3);
  t.equal(await (await other.client()).call('PING'), 'PONG', 'the other one has kept its clients');
});

t.test('IPv6, alone and beside IPv4 on the same port', async (t) => {
  const [one, both] = [await freePort(), await freePort()];
  await Baton.start(t, {
    servers: [redis],
    pools: {
      six: pool(`'[::1]:${one}'`), any6: pool(`'[::]:${both}'`), any4: pool(`0.0.0.0:${both}`),
    },
  });
  t.equal(await ping(t, '::1', one), '+PONG\r\n');
  await t.rejects(ping(t, '127.0.0.1', one), /ECONNREFUSED/);
  t.equal(await ping(t, '::1', both), '+PONG\r\n');
  t.equal(await ping(t, '127.0.0.1', both), '+PONG\r\n');
});

t.test('a host of :: alone takes IPv4, too', async (t) => {
  const port = await freePort();
  await Baton.start(t, { servers: [redis], pools: { any: pool(`'[::]:${port}'`) } });
  t.equal(await ping(t, '::1', port), '+PONG\r\n');
  t.equal(await ping(t, '127.0.0.1', port), '+PONG\r\n');
});

t.test('a name', async (t) => {
  const port = await freePort();
  await Baton.start(t, { servers: [redis], pools: { named: pool(`localhost:${port}`) } });
  t.equal(await ping(t, 'localhost', port), '+PONG\r\n');
  const [line] = await refusal(t, { a: pool('no-such-host.invalid:6380') });
  t.match(line, /^c\.yml:\d+:1: listen: no-such-host\.invalid:6380: /);
});

t.test('a unix socket, with its mode, gone at the end', async (t) => {
  const path = join(scratch(t), 'b.sock');
  const baton = await Baton.start(t, {
    servers: [redis], global: { worker_processes: 2 }, pools: { local: pool(`${path} 0620`) },
  });
  t.equal(lstatSync(path).mode & 0o777, 0o620);
  const clients = await Promise.all(Array.from({ length: 20 }, () => Client.open(t, path)));
  for (const client of clients) {
    t.equal(await client.call('PING'), 'PONG');
    client.destroy();
  }
  await baton.stop();
  t.notOk(existsSync(path));
});

t.test('a unix socket that somebody serves is his; one that is dead is replaced', async (t) => {
  const path = join(scratch(t), 'b.sock');
  const server = createServer();
  await new Promise<void>((resolve) => { server.listen(path, resolve); });
  t.teardown(() => server.close());
  t.match(await refusal(t, { a: pool(path) }), [/listen: \/\S+: address already in use$/]);
  t.ok(existsSync(path));

  const dead = join(scratch(t), 'dead.sock');
  const killed = await Baton.start(t, { servers: [redis], pools: { local: pool(dead) } });
  removeMemory(t, killed.pid);
  for (const pid of killed.family()) process.kill(pid, 'SIGKILL');
  await killed.stop().catch(() => {}); // it cannot have cleaned up
  t.ok(existsSync(dead), 'the file of a killed master stays behind');
  await Baton.start(t, { servers: [redis], pools: { local: pool(dead) } });
  t.equal(await (await Client.open(t, dead)).call('PING'), 'PONG');
});

t.test('a file that is no socket is left alone', async (t) => {
  const path = join(scratch(t), 'precious');
  writeFileSync(path, 'data');
  t.match(await refusal(t, { a: pool(path) }), [/listen: \/\S+: address already in use$/]);
  t.equal(readFileSync(path, 'utf8'), 'data');
});

t.test('a backlog beyond the kernel\'s limit is capped, and said', async (t) => {
  const most = Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'));
  const baton = await Baton.start(t, { servers: [redis], pool: { backlog: most + 1 } });
  t.match(await baton.logged(/"event":"backlog_capped"/),
    new RegExp(`backlog: ${most + 1} is capped to ${most} by the kernel: raise net\\.core`));
});

t.test('statistics ports are told together with the others', async (t) => {
  const other = await Baton.start(t, { servers: [redis] });
  const directory = scratch(t);
  writeFileSync(join(directory, 'c.yml'), fullConf(
    { stats: `127.0.0.1:${other.statsPort}` }, { a: pool(`127.0.0.1:${other.port}`) }));
  const { code, err } = await runBaton(['-c', 'c.yml'], directory);
  t.equal(code, 2);
  t.match(err, /^c\.yml:\d+:1: listen: .* address already in use$/m);
  t.match(err, /^c\.yml:\d+: stats: .* address already in use$/m);
});
