/**
 * A crew's place for one lane: the worker process that is there for it, and what it is to do.
 *
 *             Ready           goal Serve: Take             another takes the lane
 *   starting ───────► standing by ─────────────► serving ─────────────────────────► standing by
 *      ▲                   │        cannot ──► again, later         (frozen)             │
 *      │ back-off          │ dies                  │ dies                           goal End: End
 *      └───────────────────┴───────────────────────┘                                     ▼
 *                                                                                      ended
 *
 * When a worker that served dies, a standby may take the lane by itself (standby.ts) and becomes the
 * seat's; only if none does in time, the seat starts another worker.
 *
 * The worker's row says what it is; the seat compares that with its goal and gives the order that
 * brings both together. Who may serve is decided above, so that two crews never pull at one lane.
 */
import type { ChildProcess } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { systemReason } from '../base/errors.js';
import { WorkerOrder, WorkerState } from '../shm/codes.js';
import { BackOff } from './back-off.js';
import type { Generation } from './generation.js';
import type { SeatContext } from './seat-context.js';

export const enum Goal {
  StandBy, // a warm worker is there, whoever owns the lane
  Serve, // it owns the lane
  End, // nobody is there
}

/** A worker that was told to take its lane says within this time that it has, or why not. */
const TAKE_PATIENCE_MS = 15_000;
const RETRY_STEP_MS = 20;
const RETRY_LONGEST_MS = 1000;
/** A standby that is there has taken a dead worker's lane within this time, or does not. */
const HOPE_MS = 500;

interface Replaced {
  readonly row: number;
  readonly wasServing: boolean; // else it came too late
}

export class Seat {
  readonly #backOff = new BackOff();
  #goal = Goal.StandBy;
  #child: ChildProcess | null = null;
  #row = 0;
  #state = WorkerState.Free;
  #startedAt = 0; // monotonic ms: when this worker was ready, or took the lane as a standby
  #isLow = false; // its priority, while it gets ready beside one that serves
  #isTaking = false;
  #isDismissed = false; // it has been told to end, in the state that it has now
  #failedTakes = 0;
  #failedStarts = 0;
  #wasReady = false; // this worker
  #hasStood = false; // any worker of this seat, ever
  #mustReopen = false; // its log, once it is ready
  #hope: { pauseMs: number } | null = null; // a standby may take the lane; else: a worker after pauseMs
  readonly #replaced = new Map<ChildProcess, Replaced>(); // still there, though another has the seat
  #timer: NodeJS.Timeout | null = null; // the next worker, the next try, or the end of patience

  constructor(
    private readonly context: SeatContext, readonly lane: number, readonly generation: Generation,
    /** Whether a standby is there that takes lanes of dead workers. */
    private readonly hasStandby: () => boolean = () => false,
  ) {}

  get goal(): Goal {
    return this.#goal;
  }

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  get isEmpty(): boolean {
    return this.#child === null && this.#replaced.size === 0;
  }

  /** Warm: it can take the lane at once, or has it. */
  get isReady(): boolean {
    return this.#child !== null && this.#state >= WorkerState.Ready
      && this.#state <= WorkerState.Frozen;
  }

  get isServing(): boolean {
    return this.#child !== null && this.#state === WorkerState.Serving;
  }

  /** It has been told to take the lane and has not said how that went. */
  get isTaking(): boolean {
    return this.#isTaking;
  }

  /** Takes that failed since the last that did not. */
  get failedTakes(): number {
    return this.#failedTakes;
  }

  /** Deaths at the start of a seat that never had a ready worker. */
  get failedStarts(): number {
    return this.#failedStarts;
  }

  /** Starts the first worker. Throws what opening a lane throws (ENOSPC). */
  start(): void {
    this.#fill();
  }

  /** From End there is no way back. */
  pursue(goal: Goal): void {
    if (this.#goal === goal || this.#goal === Goal.End) return;
    this.#goal = goal;
    this.#failedTakes = 0;
    if (goal !== Goal.End) return;
    this.#hope = null;
    if (this.#child === null) this.#setTimer(null, () => {});
  }

  /**
   * Looks at the worker's row and gives the order that is due. `mayTake`: it is this seat's turn.
   * Called after each ring of the doorbell and in each cycle of the loop.
   */
  look(mayTake: boolean): void {
    if (this.#hope !== null && !this.hasStandby()) this.#despair(this.#hope.pauseMs);
    if (this.#child === null) return;
    const state = this.context.rows.workerState(this.#row);
    if (state !== this.#state) this.#follow(state);
    if (this.#isTaking) this.#lookForFailure();
    if (!this.isReady || this.#isTaking || this.isServing) return;
    if (this.#goal === Goal.Serve && mayTake && this.#timer === null) this.#take();
    if (this.#goal === Goal.End && !this.#isDismissed) {
      this.#isDismissed = true;
      this.#order(WorkerOrder.End);
    }
  }

  /** Ends the worker by a signal; none comes after it. */
  end(signal: NodeJS.Signals): void {
    this.pursue(Goal.End);
    this.#setTimer(null, () => {});
    this.#child?.kill(signal);
    for (const child of this.#replaced.keys()) child.kill(signal);
  }

  /**
   * A standby has taken the lane: it is this seat's worker from now on. The one before it is dead,
   * whether or not that was noticed. Returns for how many ms no other standby is to start.
   */
  occupy(child: ChildProcess, row: number): number {
    const pauseMs = this.#hope?.pauseMs ?? this.#backOff.next(this.#livedMs());
    this.#hope = null;
    this.#setTimer(null, () => {});
    if (this.#child !== null) {
      const wasServing = this.#state >= WorkerState.Serving;
      this.#replaced.set(this.#child, { row: this.#row, wasServing });
      if (!wasServing) this.#child.kill('SIGKILL');
    }
    this.#child = child;
    this.#row = row;
    this.#isTaking = this.#isLow = this.#mustReopen = false;
    this.#wasReady = this.#hasStood = true;
    this.#startedAt = performance.now(); // of its service: how long it stood by says nothing
    child.once('exit', (code, signal) => this.#vacate(child, signal ?? `exit code ${code}`));
    this.#follow(this.context.rows.workerState(row));
    return pauseMs;
  }

  /** Its worker takes no turns: only its death lets another go on with the lane. */
  killHung(): void {
    const { workerHangTimeoutMs } = this.generation.roster.settings.global;
    this.context.log.error({ event: 'worker_hung', worker: this.lane, workerPid: this.pid },
      `worker ${this.lane} (pid ${this.pid}) has taken no turn for ${workerHangTimeoutMs} ms, ` +
      'although its doorbell was rung: it is killed');
    this.context.rows.noteHang(this.#row, this.lane);
    this.#child?.kill('SIGKILL');
  }

  /** USR1 before a worker is up would open Node's inspector there: a starting one gets it later. */
  reopenLog(): void {
    if (this.isReady) this.#child?.kill('SIGUSR1');
    else this.#mustReopen = true;
  }

  #fill(): void {
    const { rows, spawn, priority } = this.context;
    rows.openLane(this.lane);
    this.#row = rows.takeWorker(this.lane, this.generation);
    this.#state = WorkerState.Starting;
    this.#isTaking = false;
    this.#wasReady = false;
    const child = spawn(this.lane, this.#row);
    this.#child = child;
    if (child.pid !== undefined) rows.noteWorker(this.#row, child.pid);
    this.#isLow = child.pid !== undefined && this.#isLaneServed();
    if (this.#isLow) priority.lower(child.pid!);
    child.stderr?.on('data', (text: Buffer) => this.#tellOutput(text.toString()));
    // A process that cannot even be started gives an error event instead of an exit.
    child.once('error', (error) => this.#vacate(child, systemReason(error)));
    child.once('exit', (code, signal) => this.#vacate(child, signal ?? `exit code ${code}`));
  }

  #isLaneServed(): boolean {
    const owner = this.context.rows.owner(this.lane);
    return owner !== null && this.context.rows.workerState(owner.worker) === WorkerState.Serving;
  }

  #follow(state: WorkerState): void {
    this.#state = state;
    this.#isDismissed = false; // an owner does not listen
    const { log } = this.context;
    const facts = { worker: this.lane, workerPid: this.pid };
    if (this.isReady && !this.#wasReady) this.#standFirst();
    if (state === WorkerState.Serving) {
      this.#isTaking = false;
      this.#failedTakes = 0;
      this.#setTimer(null, () => {});
      log.info({ event: 'worker_serving', ...facts },
        `worker ${this.lane} (pid ${this.pid}) serves`);
    } else if (state === WorkerState.Frozen) {
      this.#isTaking = false; // taken, and given away again before anybody looked
      this.#setTimer(null, () => {});
      log.debug({ event: 'worker_frozen', ...facts },
        `worker ${this.lane} (pid ${this.pid}) has given its lane away and waits`);
    } else if (state === WorkerState.Ready) {
      log.debug({ event: 'worker_ready', ...facts }, `worker ${this.lane} (pid ${this.pid}) is warm`);
    }
    this.context.changed();
  }

  /** It listens to signals from now on. */
  #standFirst(): void {
    this.#wasReady = true;
    this.#hasStood = true;
    this.#failedStarts = 0;
    this.#startedAt = performance.now(); // how long it took to start is the machine's matter
    // Before the take, which is to be short.
    if (this.#isLow && this.pid !== null) this.context.priority.restore(this.pid);
    this.#isLow = false;
    if (this.#mustReopen) this.reopenLog();
    this.#mustReopen = false;
  }

  // --- taking the lane ---

  #take(): void {
    this.#isTaking = true;
    this.#order(WorkerOrder.Take);
    this.#setTimer(TAKE_PATIENCE_MS, () => {
      if (this.#isTaking) this.#failTake('it does not answer');
      this.#child?.kill('SIGKILL'); // what it holds goes to the next one
    });
  }

  #lookForFailure(): void {
    const error = this.context.rows.workerError(this.#row);
    if (error !== 0 && this.#state === WorkerState.Ready) {
      this.#failTake(getSystemErrorName(-Math.abs(error)));
      const pauseMs = Math.min(RETRY_LONGEST_MS, RETRY_STEP_MS * 2 ** this.#failedTakes);
      this.#setTimer(pauseMs, () => this.context.changed());
    }
  }

  #failTake(why: string): void {
    this.#isTaking = false;
    this.#failedTakes++;
    this.context.log.warn({ event: 'take_failed', worker: this.lane, workerPid: this.pid, why },
      `worker ${this.lane} (pid ${this.pid}) cannot take the lane over: ${why}`);
    this.context.changed();
  }

  #order(order: WorkerOrder): void {
    this.context.rows.order(this.#row, order);
    this.#child?.kill('SIGUSR2');
  }

  // --- deaths ---

  #vacate(child: ChildProcess, how: string): void {
    if (this.#child !== child) return this.#forget(child, how);
    const wasServing = this.#state === WorkerState.Serving;
    const hasEnded = this.#goal === Goal.End;
    // The truth for whoever claims the lane: its owner, if this was it, is dead.
    this.context.rows.markDead(this.#row);
    this.context.rows.freeWorker(this.#row);
    if (this.#isTaking) this.#failedTakes++;
    this.#child = null;
    this.#row = 0;
    this.#state = WorkerState.Free;
    this.#isTaking = false;
    this.#setTimer(null, () => {});
    if (hasEnded) this.#tellEnd(child, how);
    else this.#replace(child, how, wasServing, wasServing && this.hasStandby());
    this.context.changed();
  }

  /** Its place was taken before its end was noticed. */
  #forget(child: ChildProcess, how: string): void {
    const replaced = this.#replaced.get(child);
    if (replaced === undefined) return;
    this.#replaced.delete(child);
    const { rows, log, changed } = this.context;
    rows.markDead(replaced.row);
    rows.freeWorker(replaced.row);
    if (replaced.wasServing) {
      rows.countRestart(this.lane);
      const facts = { worker: this.lane, workerPid: child.pid, how, pauseMs: 0, wasServing: true };
      log.error({ event: 'worker_died', ...facts },
        `worker ${this.lane} (pid ${child.pid}) died: ${how}; pid ${this.pid} has taken its place`);
    } else this.#tellEnd(child, how);
    changed();
  }

  /** No standby comes. */
  #despair(pauseMs: number): void {
    this.#hope = null;
    this.#setTimer(pauseMs, () => this.#refill());
  }

  /** However slow the machine: one that was never ready has not lived. */
  #livedMs(): number {
    return this.#wasReady ? performance.now() - this.#startedAt : 0;
  }

  /** What Node itself says, of an uncaught error for example. */
  #tellOutput(text: string): void {
    this.context.log.error({ event: 'worker_output', worker: this.lane }, text.trimEnd());
  }

  #tellEnd(child: ChildProcess, how: string): void {
    this.context.log.info({ event: 'worker_ended', worker: this.lane, workerPid: child.pid, how },
      `worker ${this.lane} (pid ${child.pid}) ended: ${how}`);
  }

  #replace(child: ChildProcess, how: string, wasServing: boolean, isHoping: boolean): void {
    const { rows, log } = this.context;
    const pauseMs = this.#backOff.next(this.#livedMs());
    if (!this.#hasStood) this.#failedStarts++;
    rows.countRestart(this.lane);
    const next = isHoping ? 'a standby takes its lane'
      : `a new one starts ${pauseMs === 0 ? 'at once' : `in ${pauseMs} ms`}`;
    const facts = { worker: this.lane, workerPid: child.pid, how, pauseMs, wasServing };
    log.error({ event: 'worker_died', ...facts },
      `worker ${this.lane} (pid ${child.pid}) died: ${how}; ${next}`);
    if (isHoping) this.#hope = { pauseMs };
    this.#setTimer(isHoping ? HOPE_MS : pauseMs,
      () => isHoping ? this.#despair(pauseMs) : this.#refill());
  }

  #refill(): void {
    try {
      this.#fill();
    } catch (error) {
      const pauseMs = this.#backOff.next(0);
      this.context.log.error({ event: 'worker_not_started', worker: this.lane, pauseMs },
        `worker ${this.lane} cannot be started: ${systemReason(error)}; next try in ${pauseMs} ms`);
      this.#setTimer(pauseMs, () => this.#refill());
    }
  }

  #setTimer(delayMs: number | null, then: () => void): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = delayMs === null ? null : setTimeout(() => {
      this.#timer = null;
      then();
    }, delayMs);
  }
}
