/**
 * The pid file, and beside it the lock that lets one chain of masters at a time use it. The lock is
 * a file of its own, because the pid file changes its name when the program is upgraded; a new
 * master inherits its descriptor.
 *
 *   baton.pid          the pid of the newest master and a newline
 *   baton.pid.oldbin   during an upgrade: the pid of the old one
 *   baton.pid.lock     locked while a master runs; its content means nothing
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ExitCode, OperatorError, systemCode, systemReason } from '../base/errors.js';
import { native } from '../native/binding.js';

export class PidFile {
  private constructor(readonly path: string, readonly lockFd: number) {}

  /** Takes the lock of `path`, absolute. Throws OperatorError when another master has it. */
  static lock(path: string): PidFile {
    try {
      return new PidFile(path, native.processLock(`${path}.lock`));
    } catch (error) {
      if (systemCode(error) === 'EAGAIN') {
        const pid = readPid(path);
        const whose = pid === null ? '' : ` (pid ${pid})`;
        throw new OperatorError('already-running',
          [`${path}: already in use by a running Baton${whose}`], ExitCode.Failed);
      }
      throw new OperatorError('pid-file',
        [`${path}.lock: cannot be locked: ${systemReason(error)}`]);
    }
  }

  /** Of a chain of masters that has the lock. */
  static inherit(path: string, lockFd: number): PidFile {
    return new PidFile(path, lockFd);
  }

  /** In one step, so that nobody reads half a number. */
  write(pid: number): void {
    try {
      writeFileSync(`${this.path}.new`, `${pid}\n`);
      renameSync(`${this.path}.new`, this.path);
    } catch (error) {
      throw new OperatorError('pid-file',
        [`${this.path}: cannot be written: ${systemReason(error)}`]);
    }
  }

  /** Makes room for the pid of a new master. Throws what rename throws. */
  setAside(): void {
    renameSync(this.path, oldPath(this.path));
  }

  /** There is no new master (any more). The file may have been lost meanwhile. */
  comeBack(): void {
    this.write(process.pid);
    this.removeOld(process.pid);
  }

  /** There is no other master: removes `.oldbin`, whatever it says. */
  dropOld(): void {
    rmSync(oldPath(this.path), { force: true });
  }

  /** Removes `.oldbin` if it says `pid`. */
  removeOld(pid: number): void {
    const path = oldPath(this.path);
    if (readPid(path) === pid) rmSync(path, { force: true });
  }

  /** The end of the last master: removes all files; the lock goes last. */
  close(): void {
    if (readPid(this.path) === process.pid) rmSync(this.path, { force: true });
    this.removeOld(process.pid);
    rmSync(`${this.path}.lock`, { force: true });
    native.socketClose(this.lockFd);
  }

  /** Of an instance whose masters are all dead, and which has been ended: removes all files. */
  clear(): void {
    for (const path of [this.path, oldPath(this.path), `${this.path}.lock`]) {
      rmSync(path, { force: true });
    }
    native.socketClose(this.lockFd);
  }

  /** The end of a master while another one goes on. */
  leave(): void {
    this.removeOld(process.pid);
    native.socketClose(this.lockFd);
  }
}

/** Where the pid of the old master is found during an upgrade. */
export function oldPath(path: string): string {
  return `${path}.oldbin`;
}

/** The pid that a pid file holds; null when there is no such file or no number in it. */
export function readPid(path: string): number | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch {
    return null;
  }
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : null;
}
