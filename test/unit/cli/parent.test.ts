/**
 * Goal: the mute parent forwards, outlives its masters' changes and their deaths, collects orphans,
 *   ends with the last master's code, and takes nobody along into nothing when it is killed.
 * Method: real processes, whose masters (mute.ts) only say which signal reached them.
 */
import t, { type Test } from 'tap';
import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { childrenOf, isAlive } from '../../support/processes.js';
import { waitFor } from '../../support/wait-for.js';

const PROGRAM = fileURLToPath(new URL('./mute.js', import.meta.url));

interface Mute {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly ended: Promise<number | string>;
  said(): string;
  /** Waits for a line that a master of this turn says; returns its pid. */
  heard(turn: number, words: string): Promise<number>;
}

function start(t: Test, environment: NodeJS.ProcessEnv = {}): Mute {
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ['ignore', 'pipe', 'ignore'], env: { ...process.env, ...environment },
  });
  t.teardown(() => child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (bytes: Buffer) => { text += bytes.toString(); });
  const ended = new Promise<number | string>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? 'nothing'));
  });
  const heard = async (turn: number, words: string): Promise<number> => {
    const line = new RegExp(`^${turn} (\\d+) ${words}$`, 'm');
    const match = await waitFor(`"${turn} ${words}" among ${text}`, () => line.exec(text));
    return Number(match[1]);
  };
  return { child, pid: child.pid!, ended, said: () => text, heard };
}

t.test('signals reach the master, whose code is the parent\'s', async (t) => {
  const mute = start(t);
  const master = await mute.heard(0, 'serves');
  t.not(master, mute.pid);
  for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGWINCH'] as const) {
    mute.child.kill(signal);
    await mute.heard(0, signal.slice(3));
  }
  mute.child.kill('SIGTERM');
  t.equal(await mute.ended, 0);
  t.notOk(isAlive(master));
});

t.test('a signal that comes before the master is there is kept for it', async (t) => {
  const mute = start(t);
  await waitFor('the parent to have handlers', () => childrenOf(mute.pid).length > 0);
  mute.child.kill('SIGQUIT');
  t.equal(await mute.ended, 0);
  t.match(mute.said(), /^0 \d+ QUIT$/m);
});

t.test('two upgrades, a roll back, and the code of the last', async (t) => {
  const mute = start(t);
  const first = await mute.heard(0, 'serves');
  mute.child.kill('SIGUSR2');
  const second = await mute.heard(1, 'serves');
  process.kill(first, 'SIGTERM');
  await waitFor('the second to be the parent\'s only child', () =>
    childrenOf(mute.pid).join() === String(second));
  mute.child.kill('SIGUSR2');
  const third = await mute.heard(2, 'serves');
  process.kill(second, 'SIGHUP');
  await mute.heard(1, 'HUP');
  process.kill(third, 'SIGTERM');
  await waitFor('the third to be gone', () => !isAlive(third));
  mute.child.kill('SIGTERM');
  t.equal(await mute.ended, 1, 'of the second, which was the last');
});

t.test('what stops is for all masters', async (t) => {
  const mute = start(t);
  const first = await mute.heard(0, 'serves');
  mute.child.kill('SIGUSR2');
  const second = await mute.heard(1, 'serves');
  mute.child.kill('SIGQUIT');
  t.match(String(await mute.ended), /^[01]$/);
  t.same([first, second].filter(isAlive), []);
});

/** The pids of masters that have said this, oldest first. */
function pids(mute: Mute, words: string): number[] {
  return [...mute.said().matchAll(new RegExp(`^\\d+ (\\d+) ${words}$`, 'gm'))].map(([, pid]) =>
    Number(pid));
}

t.test('a master that is killed is replaced, and the next one, too', async (t) => {
  const mute = start(t);
  for (let master = 0; master < 3; master += 1) {
    await waitFor('another master', () => pids(mute, 'serves').length > master);
    if (master < 2) process.kill(pids(mute, 'serves')[master]!, 'SIGKILL');
  }
  mute.child.kill('SIGHUP');
  await mute.heard(0, 'HUP');
  t.same(pids(mute, 'HUP'), pids(mute, 'serves').slice(-1), 'it is the one in charge');
  mute.child.kill('SIGTERM');
  t.equal(await mute.ended, 0);
});

t.test('one that is killed as it stops: the next one is told to stop', async (t) => {
  const mute = start(t);
  const first = await mute.heard(0, 'serves');
  process.kill(first, 'SIGSTOP');
  mute.child.kill('SIGTERM');
  process.kill(first, 'SIGKILL');
  t.equal(await mute.ended, 0);
  t.same(pids(mute, 'TERM'), pids(mute, 'serves').slice(-1));
});

t.test('masters that die before they serve: ever more slowly, then no more', async (t) => {
  const mute = start(t, { MUTE_DIES: '1' });
  const began = performance.now();
  t.equal(await mute.ended, 137, 'as a shell says it');
  t.equal(pids(mute, 'begins').length, 6);
  t.ok(performance.now() - began > 100 + 200 + 400 + 800);
});

t.test('one that took over and is killed as well', async (t) => {
  const mute = start(t);
  const first = await mute.heard(0, 'serves');
  mute.child.kill('SIGUSR2');
  const second = await mute.heard(1, 'serves');
  process.kill(first, 'SIGTERM');
  await waitFor('the second to be the parent\'s only child', () =>
    childrenOf(mute.pid).join() === String(second));
  process.kill(second, 'SIGKILL');
  const third = await waitFor('another one', () => pids(mute, 'serves')[2]);
  t.notOk(isAlive(second), 'Node did not start it, and it is collected none the less');
  process.kill(third, 'SIGTERM');
  t.equal(await mute.ended, 0);
});

t.test('orphans are collected', async (t) => {
  const mute = start(t);
  await mute.heard(0, 'serves');
  mute.child.kill('SIGUSR1');
  const orphan = Number((await waitFor('an orphan', () => /^orphan (\d+)$/m.exec(mute.said())))[1]);
  await waitFor('it to be collected', () => {
    try {
      process.kill(orphan, 0);
      return false; // a zombie, too
    } catch {
      return true;
    }
  });
  mute.child.kill('SIGTERM');
  t.equal(await mute.ended, 0);
});

t.test('masters whose parent is killed stop', async (t) => {
  const mute = start(t);
  const first = await mute.heard(0, 'serves');
  mute.child.kill('SIGUSR2');
  const second = await mute.heard(1, 'serves');
  mute.child.kill('SIGKILL');
  await waitFor('both to stop', () => ![first, second].some(isAlive));
  await mute.heard(0, 'GONE');
  await mute.heard(1, 'GONE');
});
