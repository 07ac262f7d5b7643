/**
 * What a worker says when it dies of an error that nobody caught: first it gives its lane up, so
 * that another serves while this one still writes, then it tells Node's stack and report, then it
 * is gone at once. Fatal signals go the same way in C++ (native/crash.h).
 *
 * A report of Node's holds the whole environment, where passwords may stand: that is left out.
 */
import { constants, openSync, writeFileSync, writeSync } from 'node:fs';
import { systemReason } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { VERSION } from '../base/version.js';
import type { WorkerOrder } from '../base/worker-order.js';
import { native } from '../native/binding.js';

const STDERR = 2;
const EXIT_CODE = 1;
const NO_DIRECTORY = -1;

export class LastWords {
  readonly #directory: number;

  /** To be made before the worker becomes another user: the way to the directory may be barred then. */
  constructor(order: WorkerOrder, log: Logger) {
    this.#directory = openDirectory(order.crashDir, log);
  }

  /** From now on; the lane must be attached. */
  listen(): void {
    const about = `Baton ${VERSION} (node ${process.version} ${process.arch}): a worker died`;
    native.laneWatchCrashes(this.#directory, about);
    process.on('uncaughtException', (error) => this.#die(error));
    process.on('exit', (code) => { if (code !== 0) native.laneAbandon(); });
  }

  #die(error: Error): never {
    const mayReport = native.laneAbandon();
    try {
      writeSync(STDERR, `${error instanceof Error ? error.stack : String(error)}\n`);
      if (mayReport && this.#directory !== NO_DIRECTORY) this.#report(error);
    } catch {
      // A full disk, a reader that is gone: there is nobody left to tell.
    }
    return native.laneDie(EXIT_CODE);
  }

  #report(error: Error): void {
    const report = process.report!.getReport(error) as unknown as { [part: string]: unknown };
    delete report['environmentVariables'];
    const path = `/proc/self/fd/${this.#directory}/worker-${process.pid}.crash`;
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`, { flag: 'wx', mode: 0o600 });
  }
}

function openDirectory(path: string | undefined, log: Logger): number {
  if (path === undefined) return NO_DIRECTORY;
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    log.warn({ event: 'crash_dir_unusable', directory: path },
      `crash_dir: ${path} cannot be opened: ${systemReason(error)}; reports go to standard error`);
    return NO_DIRECTORY;
  }
}
