/**
 * What a dead master has left of an instance: its object, read without mapping it, and its workers
 * and keepers. Whoever wants to adopt it, or to end it, begins here.
 *
 * A process belongs to the instance if it maps the object itself: that holds whatever the object's
 * tables say, and for pids that are used again. Where the kernel does not let us see that, it is
 * one whose pid is in the tables and whose title is right.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync, readdirSync } from 'node:fs';
import { birthOf, titleOf } from '../base/process-state.js';
import { systemCode, systemReason } from '../base/errors.js';
import type { Roster } from '../config/roster.js';
import { OwnerState, WorkerState } from '../shm/codes.js';
import { Head, MAGIC } from '../shm/head.js';
import { LANES_MAX, WORKERS_MAX, planInstance, type InstancePlan } from '../shm/plan.js';
import { Lane, Superblock, TableNumber, Worker } from '../tables/columns.gen.js';
import { objectName } from './memory.js';
import { readRoster } from './stored-roster.js';

/** Tables of fixed size lie where they lie, whatever the capacities are. */
const { tableBase } = planInstance({
  lanes: 1, pools: 2, backends: 2, sessions: 1, links: 1, requests: 1, commands: 1,
  routeWords: 2, confBytes: 2, arenaBytes: 64, poolBytesMax: 1 << 20,
});
const FOLDER = '/dev/shm';
const OTHERS = 0o077; // permissions
const OWNER_STATES = 4; // lane.owner = worker row * 4 + OwnerState

export interface LeftProcess {
  readonly pid: number;
  readonly birth: string; // with the pid, its identity
  readonly isKeeper: boolean;
  readonly isStandby: boolean; // a worker that is for no lane yet
}

export interface LeftLane {
  readonly lane: number;
  readonly ownerPid: number; // 0: nobody owns it; of one that is dead, too
  readonly keeperPid: number; // of the keeper that answers for it; 0: none
}

interface Row {
  readonly pid: number;
  readonly keeperPid: number;
  readonly state: WorkerState;
  readonly version: string;
}

export class LeftInstance {
  readonly #head: Head;

  private constructor(readonly name: string, readonly fd: number) {
    this.#head = Head.read(fd);
  }

  /** Of the pid file's path; null when there is no object. Throws what opening it throws. */
  static find(pidFile: string): LeftInstance | null {
    const name = objectName(pidFile);
    try {
      return new LeftInstance(name, openSync(`${FOLDER}${name}`, 'r+'));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  get plan(): InstancePlan {
    return this.#head.plan;
  }

  get masterPid(): number {
    return this.#word(Superblock.MasterPid);
  }

  get startedAt(): number {
    return this.#double(Superblock.StartedAt);
  }

  /** Of the program whose workers are left. */
  get version(): string {
    return this.#rows().find(({ version }) => version !== '')?.version ?? '';
  }

  /** The one that lanes follow; null: it cannot be read. */
  get roster(): Roster | null {
    const generation = this.#word(Superblock.Generation);
    try {
      const { confBase, capacities } = this.plan;
      const region = new Uint8Array(capacities.confBytes / 2);
      readSync(this.fd, region, 0, region.length, confBase + (generation & 1) * region.length);
      const roster = readRoster(region)?.roster ?? null;
      return roster?.generation === generation ? roster : null;
    } catch {
      return null; // not JSON, or no region
    }
  }

  /** Why this program cannot go on with the object; '' when it can. `uids`: who may own it. */
  damage(uids: readonly number[]): string {
    const { uid, mode, size } = fstatSync(this.fd);
    if (!uids.includes(uid) || (mode & OTHERS) !== 0) {
      return `shared memory ${this.name} belongs to uid ${uid}, mode ${(mode & 0o777).toString(8)}`;
    }
    if (this.#hasTables() && this.#word(Superblock.Lanes) !== LANES_MAX) {
      return `shared memory ${this.name} is damaged: it has ${this.#word(Superblock.Lanes)} lanes`;
    }
    try {
      const { change, line } = this.#head.verdict();
      if (change === 'refused') return line;
      const { bytes, sharedBytes } = this.plan;
      if (bytes !== this.#double(Superblock.Bytes) || size < sharedBytes || size > bytes) {
        return `shared memory ${this.name} is damaged: its size is ${size}`;
      }
    } catch (error) {
      return `shared memory ${this.name} is damaged: ${systemReason(error)}`;
    }
    return this.roster === null ? `shared memory ${this.name} has no configuration` : '';
  }

  /** Lanes that somebody has ever owned; read anew each time. */
  lanes(): LeftLane[] {
    const words = this.#read(tableBase[TableNumber.Lane]!, LANES_MAX * Lane.RowBytes);
    const rows = this.#rows();
    return Array.from({ length: LANES_MAX }, (_, lane) => lane).flatMap((lane) => {
      const word = (column: Lane): number => words[lane * Lane.RowWords + column]!;
      if (word(Lane.Epoch) === 0) return [];
      const owner = word(Lane.Owner);
      const isOwned = owner !== OwnerState.Nobody;
      return [{
        lane,
        ownerPid: isOwned ? rows[Math.floor(owner / OWNER_STATES)]?.pid ?? 0 : 0,
        keeperPid: rows[word(Lane.Keeper)]?.keeperPid ?? 0,
      }];
    });
  }

  /** Its workers and keepers that live. */
  processes(): LeftProcess[] {
    const rows = this.#hasTables() ? this.#rows() : [];
    const named = new Set(rows.flatMap(({ pid, keeperPid }) => [pid, keeperPid]));
    return pids().flatMap((pid) => {
      const title = titleOf(pid);
      if (!title.startsWith('baton') || title.startsWith('baton: master')) return [];
      const birth = birthOf(pid);
      const isOurs = this.#isMappedBy(pid) ?? named.has(pid);
      if (birth === null || !isOurs) return [];
      const isKeeper = title.startsWith('baton: keeper');
      return [{ pid, birth, isKeeper, isStandby: title.startsWith('baton: standby') }];
    });
  }

  /** Null: the kernel does not say. */
  #isMappedBy(pid: number): boolean | null {
    const { dev, ino } = fstatSync(this.fd, { bigint: true });
    const major = Number(dev >> 8n & 0xfffn).toString(16).padStart(2, '0');
    const minor = Number(dev & 0xffn).toString(16).padStart(2, '0');
    try {
      const maps = readFileSync(`/proc/${pid}/maps`, 'latin1');
      return maps.includes(` ${major}:${minor} ${ino} `);
    } catch (error) {
      return systemCode(error) === 'ENOENT' || systemCode(error) === 'ESRCH' ? false : null;
    }
  }

  #hasTables(): boolean {
    return this.#word(Superblock.Magic) === MAGIC;
  }

  /** By row number, those that are free as well. */
  #rows(): Row[] {
    const words = this.#read(tableBase[TableNumber.Worker]!, WORKERS_MAX * Worker.RowBytes);
    const bytes = Buffer.from(words.buffer);
    return Array.from({ length: WORKERS_MAX }, (_, row) => {
      const word = (column: Worker): number => words[row * Worker.RowWords + column]!;
      const state = word(Worker.State) as WorkerState;
      if (state === WorkerState.Free) return { pid: 0, keeperPid: 0, state, version: '' };
      const at = row * Worker.RowBytes + Worker.Version;
      const version = bytes.toString('latin1', at, at + 24).replace(/\0[^]*$/, '');
      return { pid: word(Worker.Pid), keeperPid: word(Worker.KeeperPid), state, version };
    });
  }

  #read(offset: number, bytes: number): Int32Array {
    const words = new Int32Array(bytes / 4);
    readSync(this.fd, new Uint8Array(words.buffer), 0, bytes, offset);
    return words;
  }

  #word(column: Superblock): number {
    const { bytes } = this.#head;
    return new DataView(bytes.buffer, bytes.byteOffset).getInt32(column * 4, true);
  }

  #double(column: Superblock): number {
    const { bytes } = this.#head;
    return new DataView(bytes.buffer, bytes.byteOffset).getFloat64(column * 8, true);
  }
}

function pids(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}
