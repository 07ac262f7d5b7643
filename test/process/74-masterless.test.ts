/**
 * Goal: an instance whose master is dead can be stopped and leaves nothing; its keepers end by
 *   themselves when nobody comes; one that cannot be adopted is never served beside: either it is
 *   said why nothing is started, or why it is started anew; where the kernel allows no keepers all
 *   of that is off, and said.
 */
import t from 'tap';
import { spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { ALONE, Baton, type BatonOptions } from '../support/baton.js';
import { Client } from '../support/client.js';
import { runBaton } from '../support/command.js';
import { CppProgram, repositoryRoot } from '../support/cpp-program.js';
import { adopted, count, reached } from '../support/hot-restart.js';
import { isAlive, isStopped, sharedMemoryOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine
t.jobs = 2;

const redis = await Redis.start(t);

interface Left {
  readonly baton: Baton;
  readonly memory: string; // path of the object
  readonly dead: number; // the master
  readonly family: readonly number[]; // workers and keepers
}

/** An instance without a parent whose master has just been killed. */
async function masterless(scope: Scope, options: Partial<BatonOptions> = {}): Promise<Left> {
  const baton = await Baton.start(scope, {
    servers: [redis], ...options, global: { worker_processes: 2, ...options.global },
    environment: ALONE,
  });
  await baton.logged(/"event":"started"/);
  const dead = baton.pid;
  const [memory] = sharedMemoryOf(dead);
  const family = baton.family().filter((pid) => pid !== dead);
  baton.killMaster(dead);
  await waitFor('its end', () => baton.ending);
  return { baton, memory: memory!, dead, family };
}

function say(baton: Baton, name: string): ReturnType<typeof runBaton> {
  return runBaton(['-s', name, '-p', baton.pidFile], baton.directory);
}

/** All of them; one that stands by would take the first lane that loses its owner. */
function killWorkers(baton: Baton): void {
  const crew = baton.crew().filter(({ pid }) => isAlive(pid)).sort((a, b) => a.lane - b.lane);
  for (const { pid } of crew) process.kill(pid, 'SIGKILL');
}

const WELL = { code: 0, out: '', err: '' };

for (const name of ['stop', 'quit']) {
  t.test(`-s ${name} leaves nothing`, { buffered: true }, async (t) => {
    const path = join(scratch(t), 'b.sock');
    const { baton, memory, family } = await masterless(t, {
      pools: { local: { listen: path, servers: [redis.entry] } },
    });
    const client = await baton.client();
    t.equal(await client.call('PING'), 'PONG', 'served without a master');
    if (name === 'stop') killWorkers(baton); // their keepers alone are left
    t.same(await say(baton, name), WELL);
    t.same(family.filter(isAlive), [], 'no process');
    t.same([memory, path].filter(existsSync), [], 'no memory, no socket');
    t.same(readdirSync(baton.directory).filter((file) => file.startsWith('baton.pid')), []);
    await client.closed();
    t.match(await say(baton, name), { code: 1, err: /no pid file, Baton is not running/ });
    await baton.stop().catch(() => {}); // it knows of no master that has ended by itself
  });
}

t.test('keepers wait for orphan_timeout, and no longer', { buffered: true }, async (t) => {
  const { baton, family } = await masterless(t, { global: { orphan_timeout: '700ms' } });
  const client = await baton.client();
  killWorkers(baton);
  const began = performance.now();
  await waitFor('all of them to end', () => !family.some(isAlive));
  t.ok(performance.now() - began >= 700);
  await client.closed();
  t.match(await say(baton, 'stop'), { code: 1, err: /the pid file is stale/ });
  baton.startAgain();
  await baton.logged(/"event":"memory_reclaimed"/);
  await waitFor('a new start', () => count(baton, 'started') === 2);
  t.equal(await (await baton.client()).call('PING'), 'PONG');
});

t.test('a damaged object is refused while workers serve, then replaced', { buffered: true },
  async (t) => {
    const { baton, memory, family } = await masterless(t);
    const fd = openSync(memory, 'r+');
    writeSync(fd, Buffer.alloc(4), 0, 4, 0); // the magic number
    closeSync(fd);
    const client = await baton.client();
    const args = ['-c', baton.confFile, '-p', baton.pidFile];
    const { code, err } = await runBaton(args, baton.directory);
    t.equal(code, 1);
    t.match(err, /the master is dead, its workers \(pid [\d, ]+\) serve on, and this program cannot adopt them: .*not an instance of Baton.*; stop them first: baton -s stop/);
    t.equal(await client.call('PING'), 'PONG', 'they do');
    killWorkers(baton);
    baton.startAgain();
    await baton.logged(/"event":"not_adopted".*not an instance of Baton/);
    await client.closed();
    await waitFor('a new start', () => count(baton, 'started') === 2);
    t.same(family.filter(isAlive), []);
    t.equal(await (await baton.client()).call('PING'), 'PONG');
  });

t.test('a lane whose worker and keeper are dead begins anew, the other is adopted',
  { buffered: true }, async (t) => {
    const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
    const clients = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
    const [row] = baton.crew().filter(({ lane }) => lane === 0);
    const dead = baton.pid;
    baton.killMaster(dead);
    await waitFor('the master to be gone', () => !isAlive(dead)); // his end wakes who stands still
    process.kill(row!.pid, 'SIGSTOP'); // it would start another keeper
    await waitFor('the worker to stand still', () => isStopped(row!.pid));
    process.kill(row!.keeperPid, 'SIGKILL');
    process.kill(row!.pid, 'SIGKILL');
    await adopted(baton, dead);
    t.match(baton.log, /"event":"lane_not_adopted","worker":0/);
    const answers = await Promise.all(clients.map((client) =>
      client.call('PING').then(() => true, () => false)));
    t.ok(answers.includes(true), 'sessions of the other lane stay');
    t.ok(answers.includes(false), 'those of this one could not');
    const more = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
    for (const client of more) t.equal(await client.call('PING'), 'PONG', 'both lanes listen');
  });

t.test('a configuration file that is broken by then', { buffered: true }, async (t) => {
  const { baton, dead, family } = await masterless(t);
  const client = await baton.client();
  const written = readFileSync(baton.confFile, 'utf8');
  writeFileSync(baton.confFile, `${written}nonsense: 1\n`);
  const args = ['-c', baton.confFile, '-p', baton.pidFile];
  t.match(await runBaton(args, baton.directory), { code: 2, err: /baton.yml:\d+:\d+: nonsense/ });
  t.equal(await client.call('PING'), 'PONG', 'nobody is disturbed');
  t.same(family.filter((pid) => !isAlive(pid)), []);
  writeFileSync(baton.confFile, written);
  baton.startAgain();
  await adopted(baton, dead);
  t.equal(await client.call('PING'), 'PONG', 'and goes on when it is mended');
});

t.test('the same with a parent, who tries until it is mended', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  await baton.logged(/"event":"started"/);
  const client = await baton.client();
  const written = readFileSync(baton.confFile, 'utf8');
  writeFileSync(baton.confFile, `${written}nonsense: 1\n`);
  const dead = baton.pid;
  baton.killMaster(dead);
  await waitFor('several tries', () => baton.log.split('no master can start').length > 3);
  t.match(baton.log, /nonsense: is unknown[^]*no master can start, workers serve on: another one/);
  t.equal(await client.call('PING'), 'PONG', 'nobody is disturbed');
  writeFileSync(baton.confFile, written);
  await adopted(baton, dead);
  t.equal(await client.call('PING'), 'PONG', 'and goes on when it is mended');
});

t.test('-s while there is nobody but .oldbin', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { upgrade_canary: '30s' } });
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the pid file to be set aside', () => baton.pidIn(baton.oldPidFile) === old);
  t.same(await say(baton, 'reopen'), WELL, 'waits until there is somebody to tell');
  await waitFor('both to have done it', () => count(baton, 'log_reopened') === 2);
  t.not(baton.pid, old);
  process.kill(old, 'SIGHUP');
  await reached(baton, 'the old one alone', () => baton.pidIn(baton.pidFile) === old);
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the pid file to be set aside', () => baton.pidIn(baton.oldPidFile) === old);
  t.same(await say(baton, 'stop'), WELL);
  t.notOk(isAlive(old));
});

t.test('a stopped worker of a dead new master holds nobody up', { buffered: true }, async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { upgrade_canary: '30s' } });
  const client = await baton.client();
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  const canary = await waitFor('the canary', () => {
    const [{ owner }] = baton.lanes() as [ReturnType<Baton['lanes']>[number]];
    return owner !== null && owner.masterPid !== old ? owner.pid : 0;
  });
  process.kill(canary, 'SIGSTOP');
  baton.killMaster(baton.pid);
  await reached(baton, 'the upgrade to be over', () => count(baton, 'upgrade_over') === 1);
  t.match(baton.log, new RegExp(`"event":"orphan_killed".*"workerPid":${canary}`));
  t.equal(await client.call('PING'), 'PONG');
  process.kill(old, 'SIGHUP');
  await baton.logged(/"event":"drained"/);
});

t.test('where the kernel forbids keepers', { buffered: true }, async (t) => {
  const jail = CppProgram.compile(t, 'test/native/no-keepers.cc');
  const directory = scratch(t);
  const baton = await Baton.start(t, { servers: [redis], program: jailed(directory, jail.path) });
  await baton.logged(/"event":"crash_survival_off".*clone\(CLONE_FILES\) \(EPERM/);
  t.equal(await baton.metric('baton_crash_survival'), 0);
  t.match(String(await (await baton.client()).call('INFO', 'proxy')), 'crash_survival:0');
  const test = await new Promise<string>((resolve) => {
    const child = spawn(baton.options.program!, ['-t', '-c', baton.confFile]);
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => { said += bytes.toString(); });
    child.on('close', () => resolve(said));
  });
  t.match(test, /warning: crash survival is off: .*\n.*test is successful/);
  const workers = baton.workers();
  const dead = baton.pid;
  baton.killMaster(dead);
  await waitFor('its workers to end with it', () => !workers.some(isAlive));
  await waitFor('another master, which starts anew', () => count(baton, 'started') === 2);
  t.equal(await (await Client.open(t, baton.port)).call('PING'), 'PONG');
});

/** A program that starts Baton where clone(2) cannot share descriptors without memory. */
function jailed(directory: string, jail: string): string {
  const program = join(directory, 'baton');
  const real = join(repositoryRoot, 'bin/baton');
  writeFileSync(program, `#!/bin/sh\nexec ${jail} ${real} "$@"\n`, { mode: 0o755 });
  return program;
}
