/**
 * What Baton itself says of a takeover, read from its shared memory: when a lane was frozen, how
 * long it had no owner, and how many worker processes there are. Reading costs Baton nothing.
 */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { Head } from '../../src/shm/head.js';
import { WORKERS_MAX } from '../../src/shm/plan.js';
import { Lane, TableNumber, Worker } from '../../src/tables/columns.gen.js';

export interface LaneTakeovers {
  readonly count: number;    // since the start
  readonly frozenUs: number; // the last one; CLOCK_MONOTONIC
  readonly pauseUs: number;
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

  close(): void {
    closeSync(this.#fd);
  }

  #read(offset: number, size: number): Buffer {
    const bytes = Buffer.alloc(size);
    readSync(this.#fd, bytes, 0, size, offset);
    return bytes;
  }
}
