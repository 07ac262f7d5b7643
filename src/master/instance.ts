/**
 * The shared memory of a running Baton, as a master sees it: made by the first one, attached to by
 * the masters of later upgrades, and the only place in which masters write instance tables.
 *
 *   generation  0 ──reload──► 1 ──upgrade──► 2      each is written whole into the half
 *   half        0             1              0      (generation & 1) that no worker uses
 *
 *   nextRoster(settings) ─► write(roster) ─► workers start with it ─► publish ─► lanes follow
 *                                                └── or are ended: nothing has changed
 */
import { fchownSync } from 'node:fs';
import { isAlive } from '../base/alive.js';
import { assert } from '../base/assert.js';
import { OperatorError } from '../base/errors.js';
import type { Roster } from '../config/roster.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { WorkerState } from '../shm/codes.js';
import { Segment } from '../shm/segment.js';
import { Backend, Lane, Superblock, TableNumber } from '../tables/columns.gen.js';
import { CounterSource } from '../tables/counters.js';
import { checkSizes, FD_BASE, misfits, roomOf, sizesFor } from './capacities.js';
import type { Generation } from './generation.js';
import { LaneRows } from './lane-rows.js';
import { createObject, dockName, objectName, type Warn } from './memory.js';
import { backendWord, writePools, writeRoutes } from './pool-rows.js';
import { backendIdentities, nextRoster, type PartsInUse } from './roster-keeper.js';
import { readRoster, rosterBytes, storedBytes } from './stored-roster.js';

export interface InstanceOptions {
  readonly pidFile: string | null; // absolute
  readonly openFilesMax: number; // per worker
  readonly warn: Warn;
}

/** What a master gets from the one before it. */
export interface InheritedObject {
  readonly fd: number;
  readonly bytes: number;
  readonly name: string | null;
}

const NOTHING_IN_USE: PartsInUse = {
  hasClients: () => false, hasLinks: () => false, isWatched: () => false,
};
const ANY_ROOM = { pools: Infinity, backends: Infinity, listeners: Infinity };

export class Instance extends LaneRows {
  readonly counters: CounterSource;
  #current: Generation | null = null;

  /** Over an object that is mapped already: see create() and attach(). */
  constructor(
    segment: Segment,
    readonly name: string | null, // null: unlinked already
    readonly openFilesMax: number, // per worker; its tables are cut for that
  ) {
    super(segment);
    this.counters = new CounterSource(segment.plan, segment.shared);
  }

  /** Makes the object. Throws OperatorError when shared memory or the limit of files is too small. */
  static create(settings: Settings, options: InstanceOptions): Instance {
    const { pidFile, openFilesMax, warn } = options;
    const roster = firstRoster(settings);
    const sizes = sizesFor(roster, storedBytes(roster), openFilesMax);
    const name = objectName(pidFile);
    const segment = createObject(name, sizes, settings, warn);
    if (pidFile === null) native.segmentUnlink(name);
    return new Instance(segment, pidFile === null ? null : name, openFilesMax);
  }

  /**
   * Attaches to the object of the master before, whose roster is the current one. Throws
   * OperatorError; nothing has been changed then.
   */
  static attach(
    { fd, bytes, name }: InheritedObject, { openFilesMax }: Pick<InstanceOptions, 'openFilesMax'>,
  ): Instance {
    let segment: Segment;
    try {
      segment = Segment.attach(fd, bytes);
    } catch (error) {
      throw new OperatorError('cannot-attach', [(error as Error).message]);
    }
    const instance = new Instance(segment, name, openFilesMax);
    const current = instance.read(segment.shared.words[Superblock.Generation]!);
    assert(current !== null, 'an instance has a current roster');
    checkSizes(current.roster.settings, segment.plan.capacities, openFilesMax);
    instance.#follow(current);
    return instance;
  }

  get bytes(): number {
    return this.segment.plan.bytes;
  }

  /**
   * The abstract name of a lane's dock. Docks are in a namespace of the network, objects are not:
   * with the pid file's path alone, two containers could come to the same name.
   */
  dockName(lane: number): string | null {
    if (this.name === null) return null;
    return dockName(this.name, this.segment.shared.doubles[Superblock.StartedAt]!, lane);
  }

  /** Of a lane's doorbell in all its owners: the last of the lane's numbers. */
  get bellNumber(): number {
    const { sessions, links, pools } = this.segment.plan.capacities;
    return FD_BASE + sessions + links + pools;
  }

  get shmFd(): number {
    return this.segment.fd;
  }

  /** The one published last. */
  get current(): Generation {
    assert(this.#current !== null, 'a generation has been published');
    return this.#current;
  }

  get roster(): Roster {
    return this.current.roster;
  }

  /** The current roster's successor, or the first one. Changes nothing. */
  nextRoster(settings: Settings): Roster {
    const { capacities } = this.segment.plan;
    const { counters } = this;
    const before = this.#current?.roster ?? null;
    const inUse: PartsInUse = {
      hasClients: (pool) => counters.hasClients(pool),
      hasLinks: (backend) => counters.hasLinks(backend),
      isWatched: (listener) => this.isListenerInUse(listener),
    };
    const asked = { settings, before, inUse, room: roomOf(capacities) };
    const roster = nextRoster({ ...asked, keepsCounts: true });
    const isTooLong = storedBytes(roster) > capacities.confBytes / 2;
    return isTooLong ? nextRoster({ ...asked, keepsCounts: false }) : roster;
  }

  /** What of `settings` does not fit; such a configuration can only be had by a restart. */
  misfits(settings: Settings): string[] {
    const roster = this.nextRoster(settings);
    return misfits(roster, storedBytes(roster), this.segment.plan.capacities);
  }

  /**
   * Nobody uses the half that the next generation is written into: false while workers of the
   * generation before the current one are there, frozen or draining.
   */
  isHalfFree(): boolean {
    const half = this.#current === null ? 0 : (this.#current.roster.generation + 1) & 1;
    return this.workers().every(({ generation, state, pid, masterPid }) =>
      (generation & 1) !== half || state === WorkerState.Ended || !isAlive(pid || masterPid));
  }

  /** Writes rows, routes and JSON of the current roster's successor into its half. */
  write(roster: Roster): Generation {
    const { segment } = this;
    const { plan, shared } = segment;
    const { capacities } = plan;
    const fits = misfits(roster, storedBytes(roster), capacities).length === 0;
    assert(fits && this.isHalfFree(), 'a roster is written only if it fits into a free half');
    const half = roster.generation & 1;
    const conf = rosterBytes(roster);
    const confOffset = plan.confBase + half * (capacities.confBytes / 2);
    const generation = { roster, half, confOffset, confBytes: conf.length };
    shared.bytes.set(conf, confOffset);
    shared.bytes[confOffset + conf.length] = 0;
    writePools(segment, generation);
    if (this.#current !== null) this.#carryOn(this.#current, generation);
    writeRoutes(segment, generation);
    return generation;
  }

  /** Says that lanes follow this generation from now on, and that this master is in charge. */
  publish(generation: Generation): void {
    const { words } = this.segment.shared;
    Atomics.store(words, Superblock.Generation, generation.roster.generation);
    Atomics.store(words, Superblock.MasterPid, process.pid);
    this.#follow(generation);
  }

  /** A generation as it lies in shared memory, whoever wrote it; null: another one lies there. */
  read(number: number): Generation | null {
    const { plan, shared } = this.segment;
    const half = number & 1;
    const size = plan.capacities.confBytes / 2;
    const confOffset = plan.confBase + half * size;
    const stored = readRoster(shared.bytes.subarray(confOffset, confOffset + size));
    if (stored === null || stored.roster.generation !== number) return null;
    return { roster: stored.roster, half, confOffset, confBytes: stored.bytes };
  }

  /** Gives a lane memory; does nothing when it has some. Throws ENOSPC. */
  openLane(lane: number): void {
    const { segment } = this;
    segment.openLane(lane);
    const row = segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords;
    segment.shared.doubles[row / 2 + Lane.Base] = segment.laneBase(lane);
    this.counters.openLanes((each) => segment.laneViews(each));
  }

  giveTo(uid: number, gid: number): void {
    fchownSync(this.segment.fd, uid, gid);
  }

  /**
   * The last master's, at the end of all: removes the object's name. A worker that had to be killed
   * has left its keeper, which nobody needs any more.
   */
  close(): void {
    this.forgetKeepers();
    if (this.name !== null) native.segmentUnlink(this.name);
  }

  #follow(generation: Generation): void {
    this.#current = generation;
    this.counters.openLanes((lane) => this.segment.laneViews(lane));
    this.counters.follow(generation.roster, generation.half);
  }

  /** What stays keeps its state; ids that mean something new begin to count from zero. */
  #carryOn(before: Generation, next: Generation): void {
    const pools = new Set(before.roster.pools.map(({ id, settings }) => `${id} ${settings.name}`));
    const backends = new Set(before.roster.pools.flatMap(backendIdentities));
    for (const pool of next.roster.pools) {
      if (!pools.has(`${pool.id} ${pool.settings.name}`)) this.counters.clearPool(pool.id);
      const identities = backendIdentities(pool);
      pool.backends.forEach(({ id, isRetired }, index) => {
        if (!backends.has(identities[index]!)) return this.counters.clearBackend(id);
        const mayBeEjected = pool.settings.autoEjectHosts && !isRetired;
        copyState(this.segment, before.half, next.half, id, mayBeEjected);
      });
    }
  }
}

function firstRoster(settings: Settings): Roster {
  return nextRoster({
    settings, before: null, inUse: NOTHING_IN_USE, room: ANY_ROOM, keepsCounts: true,
  });
}

/** How often a server was ejected, and whether it is. */
function copyState(
  segment: Segment, from: number, to: number, id: number, mayBeEjected: boolean,
): void {
  const { words, doubles } = segment.shared;
  const [before, next] = [backendWord(segment, from, id), backendWord(segment, to, id)];
  words[next + Backend.Ejections] = words[before + Backend.Ejections]!;
  doubles[next / 2 + Backend.EjectedAt] = doubles[before / 2 + Backend.EjectedAt]!;
  if (!mayBeEjected) return;
  words[next + Backend.Live] = words[before + Backend.Live]!;
  doubles[next / 2 + Backend.EjectedUntilUs] = doubles[before / 2 + Backend.EjectedUntilUs]!;
}
