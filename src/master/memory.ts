/**
 * Makes the shared-memory object, of a size that the machine can back.
 *
 * The object's name follows from the path of the pid file, so that a later master finds what a
 * dead one left. Without a pid file nobody could find it, so it has no name: it ends with the
 * last process that holds it.
 */
import { createHash } from 'node:crypto';
import { statfsSync } from 'node:fs';
import { OperatorError, systemCode } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { planInstance, type Capacities } from '../shm/plan.js';
import { Segment } from '../shm/segment.js';
import { workerCount } from './worker-count.js';
import { placeOf } from './place.js';

const SHM_DIRECTORY = '/dev/shm';
const MIB = 1024 * 1024;
/** As the smallest shm_max that may be written. */
const POOL_BYTES_MIN = 64 * MIB;

export type Warn = (event: string, message: string) => void;

/** The pid file's path makes the name; without one it is the master's pid, for a moment only. */
export function objectName(pidFile: string | null): string {
  if (pidFile === null) return `/baton-pid-${process.pid}`;
  return `/baton-${createHash('sha256').update(pidFile).digest('hex').slice(0, 16)}`;
}

/** Of a lane's dock; `startedAt` tells instances apart whose pid files have one path. */
export function dockName(object: string, startedAt: number, lane: number): string {
  return `${object.slice(1)}.${Math.floor(startedAt).toString(36)}.${lane}`;
}

/**
 * Throws OperatorError when shared memory is too small. The pid file's lock is ours, so an object
 * of that name can only be a dead master's.
 */
export function createObject(
  name: string, asked: Capacities, settings: Settings, warn: Warn,
): Segment {
  const capacities = fitToMemory(asked, settings, warn);
  try {
    try {
      return Segment.create(name, capacities);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      native.segmentUnlink(name);
      warn('memory_reclaimed', `removed shared memory ${name} that a dead master had left`);
      return Segment.create(name, capacities);
    }
  } catch (error) {
    if (systemCode(error) !== 'ENOSPC') throw error;
    throw shortOfMemory(settings, 0, 0);
  }
}

/**
 * Buffers are allocated as traffic needs them; a /dev/shm that is too small for shm_max would be
 * noticed only under load. So it is compared now. Nobody asked for the default: it is lowered.
 */
function fitToMemory(asked: Capacities, settings: Settings, warn: Warn): Capacities {
  const { file, global } = settings;
  const { bavail, bsize, blocks } = statfsSync(SHM_DIRECTORY);
  if (blocks === 0) return asked; // without a limit
  const free = bavail * bsize;
  const plan = planInstance(asked);
  const tables = plan.sharedBytes + workerCount(settings) * plan.laneBytes;
  const wanted = tables + asked.poolBytesMax;
  if (wanted <= free) return asked;
  const rest = Math.floor((free - tables) / MIB) * MIB;
  const isWritten = global.lines['shm_max'] !== undefined;
  if (isWritten || rest < POOL_BYTES_MIN) throw shortOfMemory(settings, free, tables);
  warn('shm_max_lowered', `${file}: shm_max: is ${mib(rest)} instead of the default ` +
    `${mib(asked.poolBytesMax)}, ${SHM_DIRECTORY} has ${mib(free)} free`);
  return { ...asked, poolBytesMax: rest };
}

function shortOfMemory(settings: Settings, free: number, tables: number): OperatorError {
  const { shmMaxBytes } = settings.global;
  const rest = Math.floor((free - tables) / MIB);
  const advice = rest * MIB >= POOL_BYTES_MIN ? `lower shm_max to ${rest}m or less, or enlarge`
    : 'lower worker_processes or max_openfiles, or enlarge';
  return new OperatorError('shm-short', [
    `${placeOf(settings, 'shm_max')}: ${mib(shmMaxBytes)} and ${mib(tables)} of tables are more ` +
    `than the ${mib(free)} free in ${SHM_DIRECTORY}: ${advice} ${SHM_DIRECTORY}`,
  ]);
}

function mib(bytes: number): string {
  return `${Math.ceil(bytes / MIB)} MiB`;
}
