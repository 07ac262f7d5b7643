/**
 * The shared memory of a running Baton, as its master sees it: made at the start, unlinked at the
 * end, and the only place in which the master writes instance tables.
 *
 *   generation  0 ──reload──► 1 ──reload──► 2        each writes the half (generation & 1), which
 *   half        0             1             0        must be free: its workers have ended
 *
 * The object's name follows from the path of the pid file, so that a later master finds what a
 * dead one left. Without a pid file nobody could find it, so it has no name: it ends with the
 * last process that holds it.
 */
import { createHash } from 'node:crypto';
import { fchownSync, statfsSync } from 'node:fs';
import { assert } from '../base/assert.js';
import { OperatorError, systemCode } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { LaneState } from '../shm/codes.js';
import { planInstance } from '../shm/plan.js';
import { Segment } from '../shm/segment.js';
import { Lane, TableNumber } from '../tables/columns.gen.js';
import { CounterSource } from '../tables/counters.js';
import { misfits, needsOf, sizesFor, workerCount, type Halves, type Sizes } from './capacities.js';
import type { Generation } from './generation.js';
import { placeOf } from './place.js';
import { writePools, writeRoutes } from './pool-rows.js';

const SHM_DIRECTORY = '/dev/shm';
const MIB = 1024 * 1024;
/** As the smallest shm_max that may be written. */
const POOL_BYTES_MIN = 64 * MIB;

export interface InstanceOptions {
  readonly pidFile: string | null; // absolute
  readonly openFilesMax: number; // per worker
  readonly warn: (event: string, message: string) => void;
}

export class Instance {
  readonly counters: CounterSource;

  private constructor(
    readonly segment: Segment,
    private readonly half: Halves,
    private readonly name: string | null, // null: unlinked already
    readonly openFilesMax: number, // per worker; its tables are cut for that
  ) {
    this.counters = new CounterSource(segment.plan, segment.shared);
  }

  /** Makes the object. Throws OperatorError when shared memory is too small. */
  static create(settings: Settings, options: InstanceOptions): Instance {
    const confBytes = Buffer.byteLength(JSON.stringify(settings));
    const asked = sizesFor(settings, confBytes, options.openFilesMax);
    const sizes = fitToMemory(asked, settings, options);
    const name = objectName(options.pidFile);
    const segment = createSegment(name, sizes, settings, options);
    if (options.pidFile === null) native.segmentUnlink(name);
    const kept = options.pidFile === null ? null : name;
    return new Instance(segment, sizes.half, kept, options.openFilesMax);
  }

  get bytes(): number {
    return this.segment.plan.bytes;
  }

  get shmFd(): number {
    return this.segment.fd;
  }

  get linksMax(): number {
    return this.segment.plan.capacities.links;
  }

  /** What of `settings` does not fit; such a configuration can only be had by a restart. */
  misfits(settings: Settings): string[] {
    const needs = needsOf(settings, Buffer.byteLength(JSON.stringify(settings)));
    return misfits(needs, this.half, settings, this.linksMax);
  }

  /** Writes rows, routes and settings of a generation into its half, which must be free. */
  write(number: number, settings: Settings): Generation {
    assert(this.misfits(settings).length === 0, 'a configuration is written only if it fits');
    const half = number & 1;
    const { plan, shared } = this.segment;
    const conf = Buffer.from(JSON.stringify(settings));
    const generation: Generation = {
      number,
      half,
      settings,
      workers: workerCount(settings),
      firstLane: half * this.half.lanes,
      firstPool: half * this.half.pools,
      firstBackend: half * this.half.backends,
      firstRouteWord: half * this.half.routeWords,
      confOffset: plan.confBase + half * this.half.confBytes,
      confBytes: conf.length,
    };
    shared.bytes.set(conf, generation.confOffset);
    writePools(this.segment, generation);
    writeRoutes(this.segment, generation);
    this.counters.openHalf(half, settings.pools, generation.firstPool);
    return generation;
  }

  /** Forgets a generation whose workers have all ended. */
  erase(generation: Generation): void {
    this.counters.closeHalf(generation.half);
    for (let worker = 0; worker < generation.workers; worker++) {
      this.clearLane(generation.firstLane + worker);
    }
  }

  /** Makes a lane ready for a new worker: empty, with memory behind it. Throws ENOSPC. */
  openLane(generation: Generation, worker: number): void {
    const row = generation.firstLane + worker;
    this.clearLane(row);
    const views = this.segment.openLane(row);
    this.segment.shared.doubles[this.laneRow(row) / 2 + Lane.Base] = this.segment.laneBase(row);
    this.counters.openLane({ row, number: worker, half: generation.half, views });
  }

  /** Of a lane without a worker: keeps what it has counted and gives its memory back. */
  private clearLane(row: number): void {
    const { words } = this.segment.shared;
    const at = this.laneRow(row);
    this.counters.carry(row);
    this.segment.releaseLane(row);
    words[at + Lane.State] = LaneState.Free;
    words[at + Lane.Draining] = 0;
    words[at + Lane.Sleeping] = 0;
    Atomics.store(words, at + Lane.Owner, 0);
  }

  laneState(row: number): LaneState {
    return Atomics.load(this.segment.shared.words, this.laneRow(row) + Lane.State) as LaneState;
  }

  laneRouteGeneration(row: number): number {
    return Atomics.load(this.segment.shared.words, this.laneRow(row) + Lane.RouteGeneration);
  }

  /** Says in shared memory, too, that a lane is to end gracefully. */
  drainLane(row: number): void {
    Atomics.store(this.segment.shared.words, this.laneRow(row) + Lane.Draining, 1);
  }

  /** Counts a worker that died on a lane. */
  countRestart(row: number): void {
    this.segment.shared.words[this.laneRow(row) + Lane.Restarts]!++;
  }

  giveTo(uid: number, gid: number): void {
    fchownSync(this.segment.fd, uid, gid);
  }

  /** Removes the object's name. */
  close(): void {
    if (this.name !== null) native.segmentUnlink(this.name);
  }

  private laneRow(row: number): number {
    return this.segment.wordBase(TableNumber.Lane) + row * Lane.RowWords;
  }
}

/** The pid file's path makes the name; without one it is the master's pid, for a moment only. */
export function objectName(pidFile: string | null): string {
  if (pidFile === null) return `/baton-pid-${process.pid}`;
  return `/baton-${createHash('sha256').update(pidFile).digest('hex').slice(0, 16)}`;
}

/** The pid file's lock is ours, so an object of that name can only be a dead master's. */
function createSegment(
  name: string, sizes: Sizes, settings: Settings, options: InstanceOptions,
): Segment {
  try {
    try {
      return Segment.create(name, sizes.capacities);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw error;
      native.segmentUnlink(name);
      options.warn('memory_reclaimed', `removed shared memory ${name} that a dead master had left`);
      return Segment.create(name, sizes.capacities);
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
function fitToMemory(asked: Sizes, settings: Settings, options: InstanceOptions): Sizes {
  const { file, global } = settings;
  const { bavail, bsize, blocks } = statfsSync(SHM_DIRECTORY);
  if (blocks === 0) return asked; // without a limit
  const free = bavail * bsize;
  const plan = planInstance(asked.capacities);
  const tables = plan.sharedBytes + workerCount(settings) * plan.laneBytes;
  const wanted = tables + asked.capacities.poolBytesMax;
  if (wanted <= free) return asked;
  const rest = Math.floor((free - tables) / MIB) * MIB;
  const isWritten = global.lines['shm_max'] !== undefined;
  if (isWritten || rest < POOL_BYTES_MIN) throw shortOfMemory(settings, free, tables);
  options.warn('shm_max_lowered', `${file}: shm_max: is ${mib(rest)} instead of the default ` +
    `${mib(asked.capacities.poolBytesMax)}, ${SHM_DIRECTORY} has ${mib(free)} free`);
  return { ...asked, capacities: { ...asked.capacities, poolBytesMax: rest } };
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

