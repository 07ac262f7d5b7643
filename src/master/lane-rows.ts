/**
 * The rows of lanes and of workers as masters see them. A master writes what the columns say is
 * his: a worker's row from Free to Starting and its end, orders, restarts; the rest he reads.
 *
 *   takeWorker            order(Take)                 markDead            freeWorker
 *   Free ──► Starting ─► Ready ─► Serving ─► Frozen ──────────► Ended ──────────────► Free
 *                                                                  as soon as no lane names it
 *
 * A row that a lane names as its owner, claimant or keeper is not used again: whoever reads its
 * number there must not take the next worker of that row for the one that is meant.
 */
import { isAlive } from '../base/alive.js';
import {
  DeathCause, ListenerState, OwnerState, SessionState, WorkerState, type WorkerOrder,
} from '../shm/codes.js';
import { WORKERS_MAX } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import {
  Lane, LaneHead, Listener, Session, TableNumber, Worker,
} from '../tables/columns.gen.js';
import type { Generation } from './generation.js';

export interface WorkerRow {
  readonly row: number;
  readonly state: WorkerState;
  readonly pid: number; // 0 until it has attached
  readonly masterPid: number;
  readonly lane: number; // -1: any
  readonly generation: number;
}

export interface LaneOwner {
  readonly worker: number; // row
  readonly state: OwnerState; // Serving or Frozen
}

const OWNER_STATES = 4; // lane.owner = worker row * 4 + OwnerState
const CAUSES = 4; // lane.cause = worker row * 4 + DeathCause

export class LaneRows {
  readonly #ended = new Set<number>(); // worker rows to be freed when no lane names them

  constructor(readonly segment: Segment) {}

  // --- lanes ---

  /** Lanes that have memory, whichever master opened them. */
  get lanes(): number[] {
    const { doubles } = this.segment.shared;
    const all = Array.from({ length: this.segment.plan.capacities.lanes }, (_, lane) => lane);
    return all.filter((lane) => doubles[this.#lane(lane) / 2 + Lane.Base] !== 0);
  }

  /** Turns sealed, whoever owned the lane; wraps. */
  turns(lane: number): number {
    return this.#laneWord(lane, Lane.Turns);
  }

  laneRouteGeneration(lane: number): number {
    return this.#laneWord(lane, Lane.RouteGeneration);
  }

  /** Who owns a lane, alive or not; null: nobody. */
  owner(lane: number): LaneOwner | null {
    const word = this.#laneWord(lane, Lane.Owner);
    if (word === OwnerState.Nobody) return null;
    return { worker: Math.floor(word / OWNER_STATES), state: word % OWNER_STATES };
  }

  /** Somebody uses the lane's routes now: its owner serves, as far as is known. */
  isServed(lane: number): boolean {
    const owner = this.owner(lane);
    return owner?.state === OwnerState.Serving
      && this.workerState(owner.worker) !== WorkerState.Ended;
  }

  /** Some lane accepts on that listener. */
  isWatched(listener: number): boolean {
    const { segment } = this;
    const at = segment.plan.tableBase[TableNumber.Listener]! / 4 + listener * Listener.RowWords;
    return this.lanes.some((lane) =>
      segment.laneViews(lane).words[at + Listener.State] === ListenerState.Watched);
  }

  /** Some lane has a session that came by that listener, or accepts there. */
  isListenerInUse(listener: number): boolean {
    return this.isWatched(listener) || this.lanes.some((lane) => this.#hasSession(lane, listener));
  }

  #hasSession(lane: number, listener: number): boolean {
    const { tableBase } = this.segment.plan;
    const { words } = this.segment.laneViews(lane);
    const said = words[tableBase[TableNumber.LaneHead]! / 4 + LaneHead.SessionTop]!;
    const top = Math.min(said, this.segment.plan.capacities.sessions); // nobody has vetted it
    for (let row = 1; row < top; row++) {
      const at = tableBase[TableNumber.Session]! / 4 + row * Session.RowWords;
      const isOpen = words[at + Session.State] !== SessionState.Free;
      if (isOpen && words[at + Session.Listener] === listener) return true;
    }
    return false;
  }

  /** A keeper without a worker ends as soon as no lane names it. */
  forgetKeepers(): void {
    const { words } = this.segment.shared;
    for (const lane of this.lanes) Atomics.store(words, this.#lane(lane) + Lane.Keeper, 0);
  }

  /** Counts a worker that died on a lane. */
  countRestart(lane: number): void {
    Atomics.add(this.segment.shared.words, this.#lane(lane) + Lane.Restarts, 1);
  }

  /** Why a worker is about to be killed: what it hangs at is to blame, as if it had died by itself. */
  noteHang(row: number, lane: number): void {
    const word = row * CAUSES + DeathCause.Hang;
    Atomics.store(this.segment.shared.words, this.#lane(lane) + Lane.Cause, word);
  }

  // --- workers ---

  /** Which process a row is for, before that can say so itself: another master may ask for it. */
  noteWorker(row: number, pid: number): void {
    Atomics.store(this.segment.shared.words, this.#worker(row) + Worker.Pid, pid);
  }

  /** A row for a new worker, in state Starting. Throws when all are taken. */
  takeWorker(lane: number, { roster }: Generation): number {
    this.#freeUnnamed();
    const row = this.#claimRow() ?? (this.#freeOrphans() ? this.#claimRow() : null);
    if (row === null) throw new Error('shared memory: no worker row is free');
    const { words, doubles } = this.segment.shared;
    const at = this.#worker(row);
    words.fill(0, at + 1, at + Worker.RowWords); // all but the state
    words[at + Worker.MasterPid] = process.pid;
    words[at + Worker.Lane] = lane;
    words[at + Worker.Generation] = roster.generation;
    doubles[at / 2 + Worker.StartedAt] = Date.now();
    return row;
  }

  /** Of a worker whose process has ended; it may take a while until its row is used again. */
  freeWorker(row: number): void {
    this.markDead(row);
    this.#ended.add(row);
    this.#freeUnnamed();
  }

  /** Whoever waits for this worker may know that it is dead: its process has ended. */
  markDead(row: number): void {
    Atomics.store(this.segment.shared.words, this.#worker(row) + Worker.State, WorkerState.Ended);
  }

  /** The worker looks at it when it gets USR2. */
  order(row: number, order: WorkerOrder): void {
    const { words } = this.segment.shared;
    // An error from here on is of this order.
    Atomics.store(words, this.#worker(row) + Worker.Error, 0);
    Atomics.store(words, this.#worker(row) + Worker.Order, order);
  }

  workerState(row: number): WorkerState {
    return this.#workerWord(row, Worker.State) as WorkerState;
  }

  /** errno of a take that failed, 0: none has. */
  workerError(row: number): number {
    return this.#workerWord(row, Worker.Error);
  }

  /** The lane that a worker is for; -1: any. */
  workerLane(row: number): number {
    return this.#workerWord(row, Worker.Lane);
  }

  workerPid(row: number): number {
    return this.#workerWord(row, Worker.Pid);
  }

  /** Workers of a lane, of all masters, those included that have ended and are still named. */
  workersOf(lane: number): WorkerRow[] {
    return this.workers().filter((each) => each.lane === lane);
  }

  workers(): WorkerRow[] {
    const rows: WorkerRow[] = [];
    for (let row = 1; row < WORKERS_MAX; row++) {
      const state = this.workerState(row);
      if (state === WorkerState.Free) continue;
      const word = (column: Worker): number => this.#workerWord(row, column);
      rows.push({
        row, state, pid: word(Worker.Pid), masterPid: word(Worker.MasterPid),
        lane: word(Worker.Lane), generation: word(Worker.Generation),
      });
    }
    return rows;
  }

  #claimRow(): number | null {
    const { words } = this.segment.shared;
    for (let row = 1; row < WORKERS_MAX; row++) {
      const at = this.#worker(row) + Worker.State;
      const was = Atomics.compareExchange(words, at, WorkerState.Free, WorkerState.Starting);
      if (was === WorkerState.Free) return row;
    }
    return null;
  }

  #freeUnnamed(): void {
    for (const row of this.#ended) {
      if (this.#isNamed(row)) continue;
      this.#ended.delete(row);
      this.#free(row);
    }
  }

  /** Rows of workers that have ended together with their masters. Returns whether there are any. */
  #freeOrphans(): boolean {
    const orphans = this.workers().filter(({ row, pid, masterPid }) =>
      !isAlive(masterPid) && !isAlive(pid) && !this.#isNamed(row));
    for (const { row } of orphans) this.#free(row);
    return orphans.length > 0;
  }

  #free(row: number): void {
    Atomics.store(this.segment.shared.words, this.#worker(row) + Worker.State, WorkerState.Free);
  }

  #isNamed(row: number): boolean {
    return this.lanes.some((lane) => this.owner(lane)?.worker === row
      || this.#laneWord(lane, Lane.Claimant) === row || this.#laneWord(lane, Lane.Keeper) === row);
  }

  #laneWord(lane: number, column: Lane): number {
    return Atomics.load(this.segment.shared.words, this.#lane(lane) + column);
  }

  #workerWord(row: number, column: Worker): number {
    return Atomics.load(this.segment.shared.words, this.#worker(row) + column);
  }

  #lane(lane: number): number {
    return this.segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords;
  }

  #worker(row: number): number {
    return this.segment.wordBase(TableNumber.Worker) + row * Worker.RowWords;
  }
}
