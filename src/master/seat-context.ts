/** What a crew's places for workers need of the master: rows, a way to start one, the log. */
import type { ChildProcess } from 'node:child_process';
import type { Logger } from '../base/log.js';
import type { WorkerOrder, WorkerState } from '../shm/codes.js';
import type { Generation } from './generation.js';
import type { Priority } from './priority.js';

/** The part of shared memory that a seat needs (src/master/instance.ts). */
export interface WorkerRows {
  openLane(lane: number): void;
  takeWorker(lane: number, generation: Generation): number;
  noteWorker(row: number, pid: number): void;
  freeWorker(row: number): void;
  workerState(row: number): WorkerState;
  workerLane(row: number): number;
  workerError(row: number): number;
  order(row: number, order: WorkerOrder): void;
  markDead(row: number): void;
  countRestart(lane: number): void;
  turns(lane: number): number;
  noteHang(row: number, lane: number): void;
  owner(lane: number): { readonly worker: number } | null;
}

export interface SeatContext {
  readonly rows: WorkerRows;
  readonly log: Logger;
  /** Starts a worker process whose row is set up; lane -1: a standby. */
  readonly spawn: (lane: number, row: number) => ChildProcess;
  /** Wakes whoever owns the lane. */
  readonly ring: (lane: number) => void;
  readonly priority: Pick<Priority, 'lower' | 'restore'>;
  /** Something happened that the master's loop should look at. */
  readonly changed: () => void;
}
