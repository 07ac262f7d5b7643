/**
 * Starts one worker process, for a lane or as a standby, and tells it what it is: rows, ids, and the numbers of its
 * descriptors, which are listed in the order that it gets (src/base/worker-order.ts).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  WORKER_ORDER_VARIABLE, type OrderedGear, type WorkerOrder,
} from '../base/worker-order.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { FD_BASE } from './capacities.js';
import { FdList } from './fd-list.js';
import type { Generation } from './generation.js';
import type { LaneGear } from './lane-gear.js';
import type { WorkerSocket } from './listeners.js';

/**
 * A take must not wait for V8: functions are compiled as they are loaded, stay compiled however long
 * a worker stands by, and what starting has left is collected before the worker says it is ready.
 */
const V8_FLAGS = ['--no-lazy', '--no-flush-bytecode', '--expose-gc'];

/** What all workers of a master have in common. */
export interface WorkerHome {
  readonly node: string; // the very program that runs this master
  readonly program: string; // path of the worker's main module
  readonly addon: string; // path of the addon that it loads
  readonly shmFd: number;
  readonly segmentBytes: number;
  readonly openFilesMax: number;
  readonly doorbell: number; // this master's
  /**
   * A worker's standard error. With a log file it is a pipe to the master, who logs what comes: a
   * dying Node writes there, and a descriptor of the file itself would keep a rotated log alive.
   */
  readonly stderr: 'inherit' | 'pipe' | 'ignore';
}

export interface WorkerPost {
  readonly row: number; // of the worker table
  readonly generation: Generation;
  readonly lane: number; // -1: a standby
  readonly gears: readonly LaneGear[]; // of its lane, of a standby all
  readonly peers: readonly LaneGear[]; // of all lanes: their doorbells
  readonly sockets: readonly WorkerSocket[];
}

export function spawnWorker(home: WorkerHome, post: WorkerPost): ChildProcess {
  const fds = new FdList();
  const order = orderOf(home, post, fds);
  const child = spawn(home.node, [...process.execArgv, ...V8_FLAGS, home.program], {
    stdio: fds.stdio('ignore', 'ignore', home.stderr),
    argv0: 'baton',
    env: {
      ...process.env, BATON_ADDON: home.addon, [WORKER_ORDER_VARIABLE]: JSON.stringify(order),
    },
  });
  if (child.pid !== undefined) limitFiles(child.pid, home.openFilesMax);
  return child;
}

function limitFiles(pid: number, files: number): void {
  try {
    native.processChildLimit(pid, files);
  } catch {
    // It is dead already, and its exit will be noticed.
  }
}

function orderOf(home: WorkerHome, post: WorkerPost, fds: FdList): WorkerOrder {
  const { generation, lane, gears, peers, sockets, row } = post;
  const { global } = generation.roster.settings;
  return {
    masterPid: process.pid,
    worker: row,
    lane,
    shmFd: fds.add(home.shmFd),
    segmentBytes: home.segmentBytes,
    confOffset: generation.confOffset,
    confBytes: generation.confBytes,
    generation: generation.roster.generation,
    gears: gears.map((gear) => gearOf(gear, global, fds)),
    doorbellFd: fds.add(home.doorbell),
    bells: peers.map((peer) => ({ lane: peer.lane, fd: fds.add(peer.bellFd) })),
    listeners: sockets.map(({ id, fd }) => ({ id, fd: fds.add(fd) })),
    fdBase: FD_BASE,
    ...(global.log === null ? { logFd: 2 } : { logFile: global.log }),
    logLevel: global.logLevel,
    ...(global.crashDir === null ? {} : { crashDir: resolve(global.crashDir) }),
    ...identityOf(global),
  };
}

function gearOf(gear: LaneGear, global: Settings['global'], fds: FdList): OrderedGear {
  const affinity = affinityOf(global.workerCpuAffinity, gear.lane);
  return {
    lane: gear.lane,
    epollFd: fds.add(gear.epollFd),
    bellFd: fds.add(gear.bellFd),
    keeperFd: fds.add(gear.keeperFd),
    claimFd: fds.add(gear.claimFd),
    ...(gear.dockFd === undefined ? {} : { dockFd: fds.add(gear.dockFd) }),
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
