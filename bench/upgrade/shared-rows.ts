/**
 * What Baton itself says of takeovers and deaths, read from its shared memory: when a lane was frozen
 * or claimed, how long it had no owner, and who the workers are. Reading costs Baton nothing.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { WorkerState } from '../../src/shm/codes.js';
import { Head } from '../../src/shm/head.js';
import { WORKERS_MAX } from '../../src/shm/plan.js';
import { Lane, TableNumber, Worker } from '../../src/tables/columns.gen.js';

export interface LaneTakeovers {
  readonly count: number;    // since the start
  readonly frozenUs: number; // the last one; CLOCK_MONOTONIC
  readonly pauseUs: number;
}

/** The last change of a lane's owner; CLOCK_MONOTONIC. */
export interface LaneClaim {
  readonly epoch: number; // changes of owner so far
  readonly ownerPid: number;
  readonly claimedUs: number;
  readonly servedUs: number; // a turn with what waited is sealed
  readonly wholeUs: number;  // every descriptor is there
}

export class SharedRows {
  readonly #fd: number;
  readonly #laneBase: number;
  readonly #workerBase: number;
  readonly #lanes: number;

  /** `pid`: a master. Throws when it has no shared memory mapped. */
  constructor(pid: number, lanes: number) {
    const path = /\/dev\/shm\/\S+$/m.exec(readFileSync(`/proc/${pid}/maps`, 'latin1'))?.[0];
    if (path === undefined) throw new Error('the master has no shared memory');
    this.#fd = openSync(path, 'r');
    const { tableBase } = Head.read(this.#fd).plan;
    this.#laneBase = tableBase[TableNumber.Lane]!;
    this.#workerBase = tableBase[TableNumber.Worker]!;
    this.#lanes = lanes;
  }

  /** By lane. */
  takeovers(): LaneTakeovers[] {
    const bytes = this.#read(this.#laneBase, this.#lanes * Lane.RowBytes);
    return Array.from({ length: this.#lanes }, (_, lane) => ({
      count: bytes.readInt32LE(lane * Lane.RowBytes + Lane.Takeovers * 4),
      frozenUs: bytes.readDoubleLE(lane * Lane.RowBytes + Lane.FrozenUs * 8),
      pauseUs: bytes.readDoubleLE(lane * Lane.RowBytes + Lane.PauseUs * 8),
    }));
  }

  /** Worker processes of all masters, those that wait or end included. */
  workers(): number {
    const bytes = this.#read(this.#workerBase, WORKERS_MAX * Worker.RowBytes);
    return Array.from({ length: WORKERS_MAX }, (_, row) =>
      bytes.readInt32LE(row * Worker.RowBytes + Worker.State * 4)).filter((it) => it !== 0).length;
  }

  claim(lane: number): LaneClaim {
    const row = this.#read(this.#laneBase + lane * Lane.RowBytes, Lane.RowBytes);
    const workers = this.#read(this.#workerBase, WORKERS_MAX * Worker.RowBytes);
    const owner = row.readInt32LE(Lane.Owner * 4) >>> 2;
    return {
      epoch: row.readInt32LE(Lane.Epoch * 4),
      ownerPid: workers.readInt32LE(owner * Worker.RowBytes + Worker.Pid * 4),
      claimedUs: row.readDoubleLE(Lane.ClaimedUs * 8),
      servedUs: row.readDoubleLE(Lane.ServedUs * 8),
      wholeUs: row.readDoubleLE(Lane.WholeUs * 8),
    };
  }

  /** Whether a warm worker waits for any lane. */
  hasStandby(): boolean {
    const bytes = this.#read(this.#workerBase, WORKERS_MAX * Worker.RowBytes);
    return Array.from({ length: WORKERS_MAX }, (_, row) => row * Worker.RowBytes).some((at) =>
      bytes.readInt32LE(at + Worker.State * 4) === WorkerState.Ready
      && bytes.readInt32LE(at + Worker.Lane * 4) < 0);
  }

  close(): void {
    closeSync(this.#fd);
  }

  #read(offset: number, size: number): Buffer {
    const bytes = Buffer.alloc(size);
    readSync(this.#fd, bytes, 0, size, offset);
    return bytes;
  }
}
