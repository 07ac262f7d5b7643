/**
 * Goal: a service manager always knows how Baton is and which master is the main process, over
 *   reloads, upgrades, a roll back and the end; and there is no mute parent then.
 * Method: a listener in its place (test/native/notified.cc) shows what it would hear.
 */
import t from 'tap';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Baton } from '../support/baton.js';
import { runBaton } from '../support/command.js';
import { CppProgram } from '../support/cpp-program.js';
import { adopted } from '../support/hot-restart.js';
import { isAlive, titleOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const WORDS = 1000; // more than will come
const redis = await Redis.start(t);
const ear = CppProgram.compile(t, 'test/native/notified.cc');

t.test('what a service manager hears', async (t) => {
  const directory = scratch(t);
  const socket = join(directory, 'notify');
  const manager = spawn(ear.path, [socket, String(WORDS)], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => manager.kill('SIGKILL'));
  const heard: string[] = [];
  createInterface({ input: manager.stdout }).on('line', (line) => heard.push(line));
  await waitFor('the manager to listen', () => heard.shift());
  const hears = async (...lines: RegExp[]): Promise<void> => {
    await waitFor(`the manager to hear ${lines.join(', ')}`, () => heard.length >= lines.length);
    t.match(heard.splice(0), lines);
  };
  const ready = (pid: number): RegExp => new RegExp(`^READY=1\\|MAINPID=${pid}$`);

  const baton = await Baton.start(t, {
    servers: [redis], global: { upgrade_canary: 0 }, environment: { NOTIFY_SOCKET: socket },
  });
  const first = baton.pid;
  t.equal(baton.parentPid, first, 'the service manager is the parent');
  await hears(ready(first));
  process.kill(first, 'SIGHUP');
  await hears(/^RELOADING=1\|MONOTONIC_USEC=\d+$/, ready(first));

  process.kill(first, 'SIGUSR2');
  await baton.logged(/"event":"upgraded"/);
  const second = baton.pid;
  await hears(ready(second));
  t.same(await runBaton(['-s', 'rollback', '-p', baton.pidFile], directory),
    { code: 0, out: '', err: '' });
  await hears(ready(first));
  t.notOk(isAlive(second), 'its end was not the end of the service');

  process.kill(first, 'SIGUSR2');
  const third = await waitFor('another master', () => {
    const pid = baton.pidIn(baton.pidFile);
    return pid !== null && pid !== first && titleOf(pid).startsWith('baton: master') && pid;
  });
  await hears(ready(third));
  process.kill(first, 'SIGQUIT');
  await waitFor('the first to end', () => !isAlive(first));
  t.same(heard, [], 'nor was this');
  baton.killMaster(third);
  baton.startAgain(); // as Restart=on-failure does
  const fourth = await adopted(baton, third);
  await hears(ready(fourth));
  t.same(await runBaton(['-s', 'stop', '-p', baton.pidFile], directory),
    { code: 0, out: '', err: '' });
  t.notOk(isAlive(fourth));
  await hears(/^STOPPING=1$/);
});
