/**
 * The directory of crash reports as the master sees it: whether workers can write there, which file
 * is a dead worker's, and that there are never too many. Workers write them (native/crash.h,
 * src/worker/last-words.ts), one each, named by their pid.
 */
import { accessSync, constants, existsSync, readdirSync, statSync, unlinkSync, type Stats } from 'node:fs';
import { join, resolve } from 'node:path';
import { systemReason } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { placeOf } from './place.js';
import { identityOf } from './spawn.js';

const KEPT = 20;
const NAME = /^worker-\d+\.crash$/;
/** Signals of a fault of the process's own. */
const FATAL = new Set(['SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGABRT', 'SIGTRAP', 'SIGSYS']);

/** Why `crash_dir` cannot be used; empty when it can, or is not set. */
export function crashDirMistakes(settings: Settings): string[] {
  const { crashDir } = settings.global;
  if (crashDir === null) return [];
  const place = placeOf(settings, 'crash_dir');
  try {
    const status = statSync(crashDir);
    if (!status.isDirectory()) return [`${place}: ${crashDir} is no directory`];
    const { user, group } = identityOf(settings.global);
    if (user === undefined) accessSync(crashDir, constants.W_OK | constants.X_OK);
    else if (!mayWrite(status, native.processIdentity(user, group ?? null))) {
      return [`${place}: ${crashDir} cannot be written by the workers, which run as "${user}"`];
    }
    return [];
  } catch (error) {
    return [`${place}: ${crashDir} cannot be used: ${systemReason(error)}`];
  }
}

function mayWrite({ mode, uid, gid }: Stats, who: { uid: number; gid: number }): boolean {
  const shift = who.uid === uid ? 6 : who.gid === gid ? 3 : 0;
  return who.uid === 0 || (mode >> shift & 0o3) === 0o3;
}

/** Tells of a worker's death by its own fault, and where it has written why. `how`: signal or code. */
export function tellCrash(
  log: Logger, { global }: Settings, lane: number, pid: number | undefined, how: string,
): void {
  const isFault = FATAL.has(how) || (/^exit code \d+$/.test(how) && how !== 'exit code 0');
  if (!isFault || pid === undefined) return;
  const directory = global.crashDir === null ? null : resolve(global.crashDir);
  const report = directory === null ? null : join(directory, `worker-${pid}.crash`);
  const isThere = report !== null && existsSync(report);
  const where = isThere ? `: ${report}`
    : directory === null ? '; its report went to standard error' : '; there is no report of it';
  log.error({ event: 'worker_crashed', worker: lane, workerPid: pid, how,
    ...(isThere ? { report } : {}) }, `worker ${lane} (pid ${pid}) crashed (${how})${where}`);
  if (directory !== null) prune(directory);
}

/** Keeps the newest. */
function prune(directory: string): void {
  try {
    const reports = readdirSync(directory).filter((name) => NAME.test(name))
      .map((name) => join(directory, name))
      .map((path) => ({ path, writtenMs: statSync(path).mtimeMs }))
      .sort((a, b) => b.writtenMs - a.writtenMs);
    for (const { path } of reports.slice(KEPT)) unlinkSync(path);
  } catch {
    // Somebody else clears up there, or forbids it.
  }
}
