/**
 * Goal: a master and its workers are there, with the right names, files and memory, in front and
 *   in the background; whatever ends them, nothing stays, or the next start clears it away.
 * Method: /proc, files and the log.
 */
import t from 'tap';
import { existsSync, lstatSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { runBaton } from '../support/command.js';
import { fullConf } from '../support/conf.js';
import { freePort } from '../support/free-port.js';
import {
  childrenOf, isAlive, privateBytesOf, sessionOf, sharedMemoryOf, titleOf, treeOf,
} from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const redis = await Redis.start(t);

function statField(pid: number, name: string): string {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return new RegExp(`^${name}:\\s*(.*)`, 'm').exec(status)?.[1] ?? '';
}

t.test('in front: processes, titles, pid file, memory', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  const workers = baton.workers();
  t.equal(workers.length, 2);
  t.same(childrenOf(baton.pid).sort(), [...workers].sort(), 'no other process');
  t.same(childrenOf(baton.parentPid), [baton.pid], 'what was started stays, as a parent');
  t.match(titleOf(baton.parentPid), /^baton: parent process /);
  t.same(sharedMemoryOf(baton.parentPid), [], 'without any shared memory');
  t.equal(sessionOf(baton.pid), baton.pid, 'the master has a session of its own');
  t.same(baton.crew().map(({ keeperPid }) => titleOf(keeperPid)),
    ['baton: keeper of lane 0', 'baton: keeper of lane 1']);
  for (const { keeperPid } of baton.crew()) t.ok(privateBytesOf(keeperPid) < 1 << 20, 'are small');
  t.same(workers.map(titleOf), ['baton: worker process 0', 'baton: worker process 1']);
  t.match(titleOf(baton.pid),
    /^baton: master process \S+ -c \S+\/baton\.yml -p \S+\/baton\.pid$/, 'the title is whole');
  t.equal(statField(baton.pid, 'Name'), 'baton');

  t.equal(readFileSync(baton.pidFile, 'utf8'), `${baton.pid}\n`);
  const [memory] = sharedMemoryOf(baton.pid);
  t.match(memory, /^\/dev\/shm\/baton-[0-9a-f]{16}$/);
  t.equal(lstatSync(memory!).mode & 0o777, 0o600);
  t.same(workers.map((pid) => sharedMemoryOf(pid)), [[memory], [memory]]);

  const started = JSON.parse(await baton.logged(/"event":"started"/)) as { workers: number[] };
  t.same(started.workers, workers);
});

t.test('workers inherit nothing but what they need', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const [worker] = baton.workers();
  const lock = `${baton.pidFile}.lock`;
  const files = (pid: number) => Array.from({ length: 1024 }, (_, fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '';
    }
  });
  t.ok(files(baton.pid).includes(lock), 'the master holds the lock');
  t.notOk(files(worker!).includes(lock), 'the worker does not');
});

interface Place { readonly directory: string; readonly port: number }

/** A directory with a configuration for `baton -c baton.yml`, whose files all lie there. */
async function place(t: Scope, global: object = {}, port?: number): Promise<Place> {
  const directory = scratch(t);
  port ??= await freePort();
  const conf = fullConf(
    { worker_processes: 1, pid: 'baton.pid', log: 'baton.log', ...global },
    { alpha: { listen: `127.0.0.1:${port}`, redis: true, servers: [redis.entry] } });
  writeFileSync(join(directory, 'baton.yml'), conf);
  return { directory, port };
}

function pidIn(directory: string): number {
  return Number(readFileSync(join(directory, 'baton.pid'), 'utf8'));
}

t.test('-d: returns when it serves, lives in a session of its own, ends by -s stop', async (t) => {
  const { directory, port } = await place(t);
  const started = await runBaton(['-d', '-c', 'baton.yml'], directory);
  t.same(started, { code: 0, out: '', err: '' }, 'nothing to say');
  const pid = pidIn(directory);
  t.teardown(() => isAlive(pid) && process.kill(pid, 'SIGKILL'));

  const client = await Client.open(t, port);
  t.equal(await client.call('PING'), 'PONG');
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  t.equal(Number(stat[2]), pid, 'leads its process group');
  t.equal(Number(stat[3]), pid, 'leads its session');
  t.equal(Number(stat[4]), 0, 'has no terminal');
  t.match(titleOf(pid), /^baton: master process \S+ -d -c baton\.yml$/);
  for (const fd of [0, 1, 2]) t.equal(readlinkSync(`/proc/${pid}/fd/${fd}`), '/dev/null');

  const [memory] = sharedMemoryOf(pid);
  t.equal((await runBaton(['-s', 'stop', '-c', 'baton.yml'], directory)).code, 0);
  await waitFor('the daemon to end', () => !isAlive(pid));
  t.notOk(existsSync(join(directory, 'baton.pid')));
  t.notOk(existsSync(join(directory, 'baton.pid.lock')));
  t.notOk(existsSync(memory!));
  t.match(readFileSync(join(directory, 'baton.log'), 'utf8').trim().split('\n').at(-1),
    /"event":"stopped"/, 'the log is whole');
});

t.test('-d without a log says where lines will go', async (t) => {
  const { directory } = await place(t, { log: '""' });
  const { code, err } = await runBaton(['-d', '-c', 'baton.yml'], directory);
  t.equal(code, 0);
  t.match(err, /warning: .*"log" is not set/);
  const pid = pidIn(directory);
  process.kill(pid, 'SIGTERM');
  await waitFor('the daemon to end', () => !isAlive(pid));
});

t.test('-d that fails says why on the terminal and leaves nothing', async (t) => {
  const other = await Baton.start(t, { servers: [redis] });
  const { directory } = await place(t, {}, other.port);
  const { code, err } = await runBaton(['-d', '-c', 'baton.yml'], directory);
  t.equal(code, 2);
  t.match(err, /^baton\.yml:\d+:1: listen: 127\.0\.0\.1:\d+: address already in use$/m);
  t.notOk(existsSync(join(directory, 'baton.pid')));
  t.ok(isAlive(other.pid));
});

t.test('one master per pid file', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const args = ['-c', baton.confFile, '-p', baton.pidFile];
  const { code, err } = await runBaton(args, baton.directory);
  t.equal(code, 1);
  t.equal(err.split('\n').at(-2),
    `${baton.pidFile}: already in use by a running Baton (pid ${baton.pid})`);
  t.ok(existsSync(baton.pidFile), 'the running one keeps its files');
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});

t.test('all killed together: the next one clears up', async (t) => {
  const { directory, port } = await place(t);
  await runBaton(['-d', '-c', 'baton.yml'], directory);
  const first = pidIn(directory);
  const [memory] = sharedMemoryOf(first);
  const all = [first, ...treeOf(first)]; // keepers, too
  for (const pid of all) process.kill(pid, 'SIGKILL');
  await waitFor('all of them to be gone', () => !all.some(isAlive));
  t.ok(existsSync(memory!), 'its memory is still there');

  t.equal((await runBaton(['-s', 'stop', '-c', 'baton.yml'], directory)).code, 1, 'not running');
  t.equal((await runBaton(['-d', '-c', 'baton.yml'], directory)).code, 0);
  const second = pidIn(directory);
  t.not(second, first);
  t.same(sharedMemoryOf(second), [memory], 'the same name');
  t.match(readFileSync(join(directory, 'baton.log'), 'utf8'), /"event":"memory_reclaimed"/);
  t.equal(await (await Client.open(t, port)).call('PING'), 'PONG');
  process.kill(second, 'SIGTERM');
  await waitFor('the second to end', () => !isAlive(second));
  t.notOk(existsSync(memory!));
});

t.test('without a pid file', async (t) => {
  const { directory } = await place(t, { pid: '""', log: '""' });
  const baton = await runBaton(['-s', 'stop', '-c', 'baton.yml'], directory);
  t.equal(baton.code, 2);
  t.match(baton.err, /which master\? say -p FILE/);
});
