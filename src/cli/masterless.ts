/**
 * -s on an instance whose master is dead: its workers serve on, and nobody but whoever calls this
 * can end them. The pid file's lock is held meanwhile, so that no master comes to adopt them.
 *
 *   stop   TERM to the workers, KILL to who does not obey     then its memory, pid file, lock and
 *   quit   QUIT, and as stop after worker_shutdown_timeout    sockets go
 *   reopen USR1
 */
import { rmSync } from 'node:fs';
import { OperatorError, ExitCode, systemCode } from '../base/errors.js';
import { endAll, isThere, kill } from '../master/adoption.js';
import { LeftInstance, type LeftProcess } from '../master/left-instance.js';
import { PidFile } from '../master/pid-file.js';
import { native } from '../native/binding.js';
import type { SignalName } from './args.js';

const LOOK_EVERY_MS = 20;
const KILL_AFTER_MS = 1000; // as a master
const QUIT_MS = 30_000; // as worker_shutdown_timeout, where that cannot be read

/**
 * Null when nothing is left of an instance by that pid file (absolute), or nobody who lives; 'busy'
 * when a master who is about to say so has it.
 */
export function findMasterless(path: string): Masterless | 'busy' | null {
  const left = openLeft(path);
  if (left === null) return null;
  const processes = left.processes();
  try {
    if (processes.length > 0) return new Masterless(PidFile.lock(path), left, processes);
  } catch (error) {
    if (!(error instanceof OperatorError) || error.code !== 'already-running') throw error;
  }
  left.close();
  return processes.length > 0 ? 'busy' : null;
}

export class Masterless {
  constructor(
    private readonly pidFile: PidFile, private readonly left: LeftInstance,
    private readonly processes: readonly LeftProcess[],
  ) {}

  /** Throws OperatorError when that needs a master. */
  async control(name: SignalName): Promise<void> {
    switch (name) {
      case 'stop': return this.#end('SIGTERM', KILL_AFTER_MS);
      case 'quit': return this.#end('SIGQUIT', this.#quitMs);
      case 'reopen':
        for (const each of this.#workers) kill(each, 'SIGUSR1');
        return;
      default:
        throw this.#needsMaster(name);
    }
  }

  get #workers(): LeftProcess[] {
    return this.processes.filter(({ isKeeper }) => !isKeeper);
  }

  get #quitMs(): number {
    return this.left.roster?.settings.global.workerShutdownTimeoutMs ?? QUIT_MS;
  }

  #needsMaster(name: SignalName): OperatorError {
    const pids = this.#workers.filter(({ isStandby }) => !isStandby).map(({ pid }) => pid);
    const who = pids.length === 0 ? 'keepers hold its connections'
      : `workers (pid ${pids.join(', ')}) serve on`;
    return new OperatorError('no-master', [`-s ${name}: ${this.pidFile.path}: the master is dead, ${who}: ` +
      'start baton again, it adopts them'], ExitCode.Failed);
  }

  async #end(signal: NodeJS.Signals, patienceMs: number): Promise<void> {
    for (const each of this.#workers) kill(each, signal);
    const until = performance.now() + patienceMs;
    while (this.#workers.some(isThere) && performance.now() < until) await pause();
    if (signal !== 'SIGTERM' && this.#workers.some(isThere)) {
      return this.#end('SIGTERM', KILL_AFTER_MS);
    }
    // A keeper without a worker listens to nothing else.
    await endAll(this.left.processes());
    await this.#removeSockets();
    native.segmentUnlink(this.left.name);
    this.left.close();
    this.pidFile.clear();
  }

  /** Files of unix sockets, once nobody listens: threads of a dead worker may hold them a moment. */
  async #removeSockets(): Promise<void> {
    const until = performance.now() + KILL_AFTER_MS;
    for (const { key, isUnix } of this.left.roster?.listeners ?? []) {
      if (!isUnix) continue;
      while (native.socketUnixAnswers(key) && performance.now() < until) await pause();
      if (!native.socketUnixAnswers(key)) rmSync(key, { force: true });
    }
  }
}

function openLeft(path: string): LeftInstance | null {
  try {
    return LeftInstance.find(path);
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
    return null; // another user's: as if it were not there
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
}
