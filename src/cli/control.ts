/**
 * -s: finds the running master by its pid file, during an upgrade also the old one by `.oldbin`,
 * and sends what nginx's operators would send with kill.
 *
 *   stop TERM, quit QUIT, reopen USR1   to both       reload HUP, upgrade USR2   to the master
 *   commit QUIT                         to the old    rollback   HUP to the old, then QUIT to the
 *                                                                new one when the old one serves
 *
 * Where all masters are dead, their workers are told (masterless.ts).
 */
import { resolve } from 'node:path';
import { ExitCode, OperatorError, systemCode, systemReason } from '../base/errors.js';
import { birthOf, titleOf } from '../base/process-state.js';
import { oldPath, readPid } from '../master/pid-file.js';
import { readRunning } from '../master/running-instance.js';
import type { SignalName } from './args.js';
import { findMasterless, Masterless } from './masterless.js';

const LOOK_EVERY_MS = 20;
const STOP_PATIENCE_MS = 30_000;
const RETURN_PATIENCE_MS = 30_000;
const SETTLE_PATIENCE_MS = 10_000;

interface Found {
  readonly pid: number;
  readonly birth: string;
}

/**
 * Throws OperatorError when there is nobody to tell, or it did not help. Only `stop` and
 * `rollback` wait for what comes of it. `pidFile` null: none is configured.
 */
export async function control(name: SignalName, pidFile: string | null): Promise<void> {
  const path = pidFile ?? whichOne(`-s ${name}`);
  const found = await settled(name, path);
  if (found instanceof Masterless) return found.control(name);
  const { master, old } = found;
  const both = old === null ? [master] : [old, master];
  switch (name) {
    case 'stop':
      for (const each of both) send(each, 'SIGTERM');
      return waitFor('to end', STOP_PATIENCE_MS, () => !both.some(isThere));
    case 'quit':
      return both.forEach((each) => send(each, 'SIGQUIT'));
    case 'reopen':
      return both.forEach((each) => send(each, 'SIGUSR1'));
    case 'reload':
      return send(master, 'SIGHUP');
    case 'upgrade':
      if (old !== null) throw underWay(path, old);
      return send(master, 'SIGUSR2');
    case 'commit':
      return send(old ?? notUnderWay(name, path), 'SIGQUIT');
    case 'rollback':
      return rollBack(path, old ?? notUnderWay(name, path), master);
    default:
      return name satisfies never;
  }
}

/**
 * Who is to be told. While an upgrade begins, or fails, there is only `.oldbin`: `stop` goes to its
 * master, who ends the other one too; anything else waits until it is known who is in charge. So
 * does everything while a master adopts what a dead one has left.
 */
async function settled(
  name: SignalName, path: string,
): Promise<{ readonly master: Found; readonly old: Found | null } | Masterless> {
  const deadline = performance.now() + SETTLE_PATIENCE_MS;
  for (;;) {
    const master = lookFor(path);
    const old = lookFor(oldPath(path));
    if (master !== null) return { master, old: old?.pid === master.pid ? null : old };
    const left = old === null ? findMasterless(resolve(path)) : 'busy';
    if (left === null) return { master: findMaster(path), old };
    if (left !== 'busy') return left;
    if (old !== null && name === 'stop') return { master: old, old: null };
    if (performance.now() > deadline) throw starting(name, path, old);
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

/** The master that a pid file names. Throws OperatorError when it does not run. */
export function findMaster(path: string): Found {
  const pid = readPid(path);
  if (pid === null) {
    throw notRunning(`${path}: no pid file, Baton is not running (or has another one)`);
  }
  const master = lookFor(path);
  if (master !== null) return master;
  throw notRunning(`${path}: pid ${pid} is not a running Baton, the pid file is stale`);
}

/** Throws the OperatorError of a command that cannot know its master. */
export function whichOne(command: string): never {
  throw new OperatorError('no-pid-file',
    [`${command}: which master? say -p FILE, or "pid" in the configuration`]);
}

/** Pids are reused: a signal to whoever has it now could kill a stranger. */
function lookFor(path: string): Found | null {
  const pid = readPid(path);
  const birth = pid === null ? null : birthOf(pid);
  if (birth === null || !titleOf(pid!).startsWith('baton: master process')) return null;
  return { pid: pid!, birth };
}

function isThere({ pid, birth }: Found): boolean {
  return birthOf(pid) === birth;
}

function send({ pid }: Found, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    const isForeign = systemCode(error) === 'EPERM';
    const reason = isForeign ? 'it belongs to another user' : systemReason(error);
    throw notRunning(`pid ${pid} cannot be signalled: ${reason}`);
  }
}

/**
 * The new master goes only when the old one serves again: so nobody is without a lane. It is over
 * when the old one has noticed that, and is ready for the next upgrade: `.oldbin` is gone then.
 */
async function rollBack(path: string, old: Found, master: Found): Promise<void> {
  send(old, 'SIGHUP');
  await waitFor(`to take the lanes back (pid ${old.pid})`, RETURN_PATIENCE_MS, () =>
    !isThere(old) || readRunning(old.pid)?.masterPid === old.pid);
  if (!isThere(old)) throw notRunning(`the old master (pid ${old.pid}) has ended, see the log`);
  if (isThere(master)) send(master, 'SIGQUIT');
  await waitFor(`to end (pid ${master.pid})`, STOP_PATIENCE_MS, () =>
    !isThere(master) && lookFor(oldPath(path)) === null);
}

async function waitFor(what: string, patienceMs: number, isSo: () => boolean): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!isSo()) {
    if (performance.now() > deadline) {
      throw notRunning(`gave up waiting ${patienceMs / 1000} s for Baton ${what}, see the log`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
  }
}

function starting(name: SignalName, path: string, old: Found | null): OperatorError {
  const what = old === null ? 'a master is just starting: try again'
    : `an upgrade is being started by pid ${old.pid}, no new master is there yet: try again, or ` +
      '-s stop';
  return new OperatorError('under-way', [`-s ${name}: ${path}: ${what}`], ExitCode.Failed);
}

function underWay(path: string, { pid }: Found): OperatorError {
  return new OperatorError('under-way', [`${path}: an upgrade is under way, the old master is ` +
    `pid ${pid}: -s commit or -s rollback first`], ExitCode.Failed);
}

function notUnderWay(name: SignalName, path: string): never {
  throw new OperatorError('not-under-way', [`-s ${name}: no upgrade is under way, there is no ` +
    `old master in ${oldPath(path)}`], ExitCode.Failed);
}

function notRunning(line: string): OperatorError {
  return new OperatorError('not-running', [line], ExitCode.Failed);
}
