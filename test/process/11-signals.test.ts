/**
 * Goal: every signal does what nginx's operators know it to do, to the master and to a worker.
 * Method: a backend that answers when told holds a request in flight; the log and /proc tell the
 *   rest. Baton.stop() checks that the exit code is 0 and that nothing is left behind.
 */
import t from 'tap';
import { existsSync, readdirSync, readFileSync, readlinkSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const redis = await Redis.start(t);

/** A backend that keeps requests until the test answers them. */
async function keeper(scope: Scope): Promise<{ backend: FakeBackend; kept: Received[] }> {
  const kept: Received[] = [];
  const backend = await FakeBackend.start(scope, (request) => { kept.push(request); });
  return { backend, kept };
}

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal}: stops now, whatever is in flight`, async (t) => {
    const { backend, kept } = await keeper(t);
    const baton = await Baton.start(t, {
      servers: [backend], global: { worker_processes: 2 }, mayHold: true,
    });
    const [busy, idle] = [await baton.client(), await baton.client()];
    const answer = busy.command('GET', 'key').catch((error: Error) => error.message);
    await waitFor('the request to be in flight', () => kept.length === 1);
    await baton.stop(signal);
    t.notMatch(baton.log, /ended: SIGKILL/, 'well before workers would be killed');
    t.match(await answer, /closed|ended|reset/i);
    await idle.closed();
    t.match(baton.log, /"event":"terminating"/);
    t.match(baton.log, /"event":"stopped"/);
  });
}

t.test('TERM: a worker that does not obey is killed after a second', async (t) => {
  const baton = await Baton.start(t, {
    servers: [redis], global: { worker_processes: 2 }, mayHold: true,
  });
  const [stuck] = baton.workers();
  process.kill(stuck!, 'SIGSTOP');
  const began = performance.now();
  await baton.stop('SIGTERM');
  const tookMs = performance.now() - began;
  t.ok(tookMs >= 1000 && tookMs < 5000, `${tookMs} ms`);
  t.match(baton.log, new RegExp(`pid ${stuck}\\) ended: SIGKILL`));
});

t.test('QUIT: what is in flight is answered, nobody new gets in', async (t) => {
  const { backend, kept } = await keeper(t);
  const baton = await Baton.start(t, { servers: [backend], global: { worker_processes: 2 } });
  const [busy, idle] = [await baton.client(), await baton.client()];
  const answer = busy.call('GET', 'key');
  await waitFor('the request to be in flight', () => kept.length === 1);

  process.kill(baton.pid, 'SIGQUIT');
  await idle.closed();
  await t.rejects(baton.client(), /ECONNREFUSED/);
  t.ok(isAlive(baton.pid), 'the master waits for the request');
  kept[0]!.reply('$5\r\nvalue\r\n');
  t.equal((await answer)?.toString(), 'value');
  await busy.closed();
  await baton.stop('SIGQUIT');
  t.match(baton.log, /"event":"quitting"/);
  t.notMatch(baton.log, /"event":"terminating"/, 'nobody was forced');
});

t.test('QUIT: no longer than worker_shutdown_timeout', async (t) => {
  const { backend, kept } = await keeper(t);
  const baton = await Baton.start(t, {
    servers: [backend], global: { worker_shutdown_timeout: '300ms' },
  });
  const busy = await baton.client();
  const answer = busy.command('GET', 'key').catch((error: Error) => error.message);
  await waitFor('the request to be in flight', () => kept.length === 1);
  const began = performance.now();
  await baton.stop('SIGQUIT');
  t.ok(performance.now() - began >= 300);
  t.match(await answer, /closed|ended|reset/i);
  t.match(baton.log, /"event":"terminating","why":"worker_shutdown_timeout"/);
});

t.test('TERM after QUIT does not wait', async (t) => {
  const { backend, kept } = await keeper(t);
  const baton = await Baton.start(t, { servers: [backend], mayHold: true });
  const answer = (await baton.client()).command('GET', 'key').catch(() => 'cut off');
  await waitFor('the request to be in flight', () => kept.length === 1);
  process.kill(baton.pid, 'SIGQUIT');
  await baton.logged(/"event":"quitting"/);
  await baton.stop('SIGTERM');
  t.equal(await answer, 'cut off');
});

t.test('USR1: the log is opened anew by master and workers', async (t) => {
  const log = 'baton.log';
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2, log } });
  const path = join(baton.directory, log);
  const before = await waitFor('the start to be told', () => {
    const text = readFileSync(path, 'utf8');
    return text.includes('"event":"started"') && text;
  });
  renameSync(path, `${path}.1`);
  process.kill(baton.pid, 'SIGUSR1');
  const holds = (pid: number, file: string): boolean => readdirSync(`/proc/${pid}/fd`)
    .some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === file);
  const processes = [baton.pid, ...baton.workers()];
  await waitFor('all to hold the new file, none the old', () => processes.every((pid) =>
    holds(pid, path) && !holds(pid, `${path}.1`)));
  t.match(readFileSync(path, 'utf8'), /"event":"log_reopened"/);
  t.equal(readFileSync(`${path}.1`, 'utf8'), before, 'and nobody writes the old one any more');
  t.equal(processes.length, 3);
});

t.test('USR1 to a process that is not up yet does not open a debugger', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const [worker] = baton.workers();
  process.kill(worker!, 'SIGKILL');
  process.kill(baton.pid, 'SIGUSR1');
  await waitFor('a new worker', () =>
    baton.workers().length === 1 && baton.workers()[0] !== worker);
  for (let i = 0; i < 20; i += 1) process.kill(baton.pid, 'SIGUSR1');
  const client = await baton.client();
  t.equal(await client.call('PING'), 'PONG');
  t.notMatch(baton.log, /Debugger listening/);
});

t.test('WINCH without an upgrade does nothing', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const client = await baton.client();
  const workers = baton.workers();
  for (const pid of [baton.pid, baton.parentPid]) process.kill(pid, 'SIGWINCH');
  process.kill(baton.pid, 'SIGUSR1');
  await baton.logged(/"event":"log_reopened"/);
  t.equal(await client.call('PING'), 'PONG');
  t.same(baton.workers(), workers);
});

t.test('the parent passes on what it gets, and ends as the master does', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const client = await baton.client();
  process.kill(baton.parentPid, 'SIGHUP');
  await baton.logged(/"event":"drained"/);
  process.kill(baton.parentPid, 'SIGUSR1');
  await baton.logged(/"event":"log_reopened"/);
  t.equal(await client.call('PING'), 'PONG');
  const { pid } = baton;
  process.kill(baton.parentPid, 'SIGUSR2');
  await waitFor('another master', () => baton.pidIn(baton.oldPidFile) === pid
    && baton.pidIn(baton.pidFile) !== null && baton.pid !== pid);
  t.equal(await client.call('PING'), 'PONG');
  await baton.stop('SIGQUIT');
});

t.test('a killed parent takes everything along', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });
  const { pid, pidFile } = baton;
  const family = baton.family();
  process.kill(baton.parentPid, 'SIGKILL');
  await waitFor('nobody to be left', () => !family.some(isAlive));
  t.ok(!existsSync(pidFile), 'the master has stopped as by TERM');
  t.match(baton.log, new RegExp(`"pid":${pid}.*"event":"stopped"`));
  await t.rejects(baton.stop(), /ended with SIGKILL, left \[\]/);
});

t.test('workers ignore what a terminal sends to a whole group', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const client = await baton.client();
  const [worker] = baton.workers();
  for (const signal of ['SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGWINCH'] as const) {
    process.kill(worker!, signal);
    t.equal(await client.call('PING'), 'PONG', signal);
  }
  t.same(baton.workers(), [worker]);
});

t.test('many signals at once', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], mayHold: true });
  const client = await baton.client();
  for (let i = 0; i < 10; i += 1) {
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGWINCH'] as const) {
      process.kill(baton.pid, signal);
    }
  }
  await baton.logged(/"event":"reloaded"/);
  t.equal(await client.call('PING'), 'PONG');
  for (let i = 0; i < 10; i += 1) {
    for (const signal of ['SIGUSR2', 'SIGHUP', 'SIGUSR1'] as const) process.kill(baton.pid, signal);
  }
  t.equal(await client.call('PING'), 'PONG');
  process.kill(baton.parentPid, 'SIGQUIT');
  await baton.stop('SIGTERM');
});
