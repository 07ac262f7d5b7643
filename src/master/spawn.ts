/**
 * Starts one worker process. Its descriptors, from 3 on, are those listed here in this order:
 *
 *   3 shared memory | 4 the master's doorbell | 5 … listening sockets
 *
 * They have the same numbers in every worker; everything else of the master is close-on-exec.
 */
import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { WORKER_ORDER_VARIABLE, type WorkerOrder } from '../base/worker-order.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { FD_BASE } from './capacities.js';
import type { Generation } from './generation.js';
import type { Instance } from './instance.js';
import type { WorkerSocket } from './listeners.js';

export interface SpawnContext {
  readonly program: string; // path of the worker's main module
  readonly instance: Instance;
  readonly doorbell: number;
  /**
   * A worker's standard error. With a log file it is a pipe to the master, who logs what comes: a
   * dying Node writes there, and a descriptor of the file itself would keep a rotated log alive.
   */
  readonly stderr: 'inherit' | 'pipe' | 'ignore';
}

const SHM = 3;
const DOORBELL = 4;
const FIRST_LISTENER = 5;

export function spawnWorker(
  context: SpawnContext, generation: Generation, number: number, sockets: readonly WorkerSocket[],
): ChildProcess {
  const order = orderOf(context.instance, generation, number, sockets);
  const stdio: StdioOptions = [
    'ignore', 'ignore', context.stderr,
    context.instance.shmFd, context.doorbell, ...sockets.map(({ fd }) => fd),
  ];
  const child = spawn(process.execPath, [...process.execArgv, context.program], {
    stdio,
    argv0: 'baton',
    env: { ...process.env, [WORKER_ORDER_VARIABLE]: JSON.stringify(order) },
  });
  if (child.pid !== undefined) limitFiles(child.pid, context.instance.openFilesMax);
  return child;
}

function limitFiles(pid: number, files: number): void {
  try {
    native.processChildLimit(pid, files);
  } catch {
    // It is dead already, and its exit will be noticed.
  }
}

export function orderOf(
  instance: Instance, generation: Generation, number: number, sockets: readonly WorkerSocket[],
): WorkerOrder {
  const { global } = generation.settings;
  const affinity = affinityOf(global.workerCpuAffinity, number);
  return {
    masterPid: process.pid,
    lane: generation.firstLane + number,
    workerNumber: number,
    shmFd: SHM,
    segmentBytes: instance.bytes,
    confOffset: generation.confOffset,
    confBytes: generation.confBytes,
    firstPool: generation.firstPool,
    firstBackend: generation.firstBackend,
    listeners: sockets.map(({ pool, unix }, index) =>
      ({ fd: FIRST_LISTENER + index, pool: generation.firstPool + pool, unix })),
    doorbellFd: DOORBELL,
    fdBase: FD_BASE,
    ...(global.log === null ? { logFd: 2 } : { logFile: global.log }),
    logLevel: global.logLevel,
    ...identityOf(global),
    ...(affinity === null ? {} : { affinity }),
  };
}

/** Only root may change who a process is; a group alone means the present user in that group. */
export function identityOf(global: Settings['global']): { user?: string; group?: string } {
  if (process.getuid!() !== 0 || (global.user === null && global.group === null)) return {};
  const user = global.user ?? String(process.getuid!());
  return global.group === null ? { user } : { user, group: global.group };
}

/** The cores of worker `number`; null leaves it to the scheduler. */
export function affinityOf(
  setting: Settings['global']['workerCpuAffinity'], number: number, cores = coresAllowed(),
): readonly number[] | null {
  if (setting === 'off') return null;
  if (setting === 'auto') return [cores[number % cores.length]!];
  return setting[number % setting.length]!;
}

/** The cores this process may run on, which under taskset or a container are not 0 to n - 1. */
function coresAllowed(): number[] {
  const list = /^Cpus_allowed_list:\s*(\S+)/m.exec(readStatus())?.[1] ?? '0';
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number) as [number, number?];
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

function readStatus(): string {
  return readFileSync('/proc/self/status', 'utf8');
}
