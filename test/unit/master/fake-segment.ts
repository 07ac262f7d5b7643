/** Shared memory in plain arrays: what masters use of a Segment, without addon and processes. */
import { Instance } from '../../../src/master/instance.js';
import { OwnerState, WorkerState } from '../../../src/shm/codes.js';
import { planInstance, type InstancePlan } from '../../../src/shm/plan.js';
import type { Segment, Views } from '../../../src/shm/segment.js';
import {
  BackendCounter, Lane, Listener, PoolCounter, TableNumber, Worker,
} from '../../../src/tables/columns.gen.js';

export const HALF = { pools: 6, backends: 12, confBytes: 32_768 };

export class FakeSegment {
  readonly fd = -1;
  readonly plan: InstancePlan = planInstance({
    lanes: 4, pools: 2 * HALF.pools, backends: 2 * HALF.backends, sessions: 16, links: 16,
    requests: 16, commands: 512, routeWords: 200_000, confBytes: 2 * HALF.confBytes,
    arenaBytes: 64, poolBytesMax: 1 << 20,
  });
  readonly shared = viewsOf(this.plan.sharedBytes);
  readonly #lanes = new Map<number, Views>();

  openLane(lane: number): Views {
    return this.laneViews(lane);
  }

  laneViews(lane: number): Views {
    const views = this.#lanes.get(lane) ?? viewsOf(this.plan.laneBytes);
    this.#lanes.set(lane, views);
    return views;
  }

  laneBase(lane: number): number {
    return this.plan.laneBase[lane]!;
  }

  wordBase(number: TableNumber): number {
    return this.plan.tableBase[number]! / 4;
  }

  /** A master of this memory; several may be. */
  instance(): Instance {
    return new Instance(this as unknown as Segment, null, 1024);
  }

  // --- what lanes and workers would write ---

  countPool(lane: number, id: number, column: PoolCounter, value: number): void {
    this.#count(lane, TableNumber.PoolCounter, id * PoolCounter.RowDoubles + column, value);
  }

  countBackend(lane: number, id: number, column: BackendCounter, value: number): void {
    this.#count(lane, TableNumber.BackendCounter, id * BackendCounter.RowDoubles + column, value);
  }

  setListener(lane: number, id: number, state: number): void {
    const at = this.wordBase(TableNumber.Listener) + id * Listener.RowWords;
    this.laneViews(lane).words[at + Listener.State] = state;
  }

  /** As a worker that serves a lane; its routes are those of `routeGeneration`. */
  own(lane: number, worker: number, state: OwnerState, routeGeneration = 0): void {
    this.setLane(lane, Lane.Owner, worker * 4 + state);
    this.setLane(lane, Lane.RouteGeneration, routeGeneration);
  }

  setLane(lane: number, column: Lane, value: number): void {
    this.shared.words[this.wordBase(TableNumber.Lane) + lane * Lane.RowWords + column] = value;
  }

  /** State and pid of a worker row. */
  setWorker(row: number, state: WorkerState, pid = process.pid): void {
    const at = this.wordBase(TableNumber.Worker) + row * Worker.RowWords;
    this.shared.words[at + Worker.State] = state;
    this.shared.words[at + Worker.Pid] = pid;
  }

  #count(lane: number, table: TableNumber, index: number, value: number): void {
    this.laneViews(lane).doubles[this.plan.tableBase[table]! / 8 + index] = value;
  }
}

function viewsOf(bytes: number): Views {
  const buffer = new ArrayBuffer(bytes);
  return {
    words: new Int32Array(buffer), doubles: new Float64Array(buffer),
    bytes: new Uint8Array(buffer),
  };
}
