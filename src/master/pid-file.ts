/**
 * The pid file, and beside it the lock that lets one master at a time use it. The lock is a file
 * of its own, because the pid file changes its name when a program is upgraded.
 *
 *   baton.pid        the master's pid and a newline, while it runs
 *   baton.pid.lock   locked by the running master; its content means nothing
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ExitCode, OperatorError, systemCode, systemReason } from '../base/errors.js';
import { native } from '../native/binding.js';

export class PidFile {
  private constructor(readonly path: string, private readonly lockFd: number) {}

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

  /** Removes both files; the lock goes last. */
  close(): void {
    if (readPid(this.path) === process.pid) rmSync(this.path, { force: true });
    rmSync(`${this.path}.lock`, { force: true });
    native.socketClose(this.lockFd);
  }
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
