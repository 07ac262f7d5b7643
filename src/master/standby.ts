/**
 * A crew's place for a worker that stands by: warm, for no lane yet, it takes the first one of its
 * crew that loses its owner, by itself (src/worker/worker.ts, native/death-watch.h). Then it is that
 * lane's seat's, and another one starts here.
 *
 *              Ready               Serving: its row names the lane
 *   starting ────────► standing by ───────────────────────────────► the seat's
 *      ▲                    │ dies                                      │
 *      └─────── pause ──────┴───────────────────────────────────────────┘
 *
 * The pause is the back-off of the seat whose worker died: one that keeps dying must not burn
 * through workers faster than it would without this.
 */
import type { ChildProcess } from 'node:child_process';
import { getSystemErrorName } from 'node:util';
import { systemReason } from '../base/errors.js';
import { WorkerOrder, WorkerState } from '../shm/codes.js';
import { BackOff } from './back-off.js';
import type { Generation } from './generation.js';
import type { SeatContext } from './seat-context.js';

/** The lane of a worker that is for any. */
export const ANY_LANE = -1;

export class Standby {
  readonly #backOff = new BackOff();
  #child: ChildProcess | null = null;
  #row = 0;
  #startedAt = 0; // monotonic ms
  #isReady = false;
  #isDismissed = false; // it has been told to end
  #isEnding = false; // nobody is to be here any more
  #mustReopen = false; // its log, once it is ready
  #error = 0; // of its last take that failed
  #timer: NodeJS.Timeout | null = null;

  constructor(
    private readonly context: SeatContext,
    private readonly generation: Generation,
    /** It has taken a lane. Returns for how many ms no other one is to start. */
    private readonly onTaken: (lane: number, child: ChildProcess, row: number) => number,
  ) {}

  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** It waits, and would take a lane now. */
  get isReady(): boolean {
    return this.#isReady && !this.#isDismissed;
  }

  get isEmpty(): boolean {
    return this.#child === null;
  }

  /** Does nothing when one is there, or about to be. */
  start(): void {
    if (this.#child !== null || this.#timer !== null || this.#isEnding) return;
    try {
      this.#fill();
    } catch (error) {
      const pauseMs = this.#backOff.next(0);
      this.context.log.error({ event: 'worker_not_started', pauseMs },
        `a standby worker cannot be started: ${systemReason(error)}; next try in ${pauseMs} ms`);
      this.#startIn(Math.max(1, pauseMs));
    }
  }

  /** Follows what its row says. */
  look(): void {
    if (this.#child === null) return;
    const { rows } = this.context;
    const state = rows.workerState(this.#row);
    if (state === WorkerState.Serving || state === WorkerState.Frozen) return this.#handOver();
    if (state === WorkerState.Ready && !this.#isReady) this.#standFirst(this.#child);
    if (this.#isReady) this.#lookForFailure();
  }

  /** It is to end, unless it has just taken a lane: then it is the seat's to end. */
  dismiss(): void {
    this.#isEnding = true;
    this.#clearTimer();
    if (this.#child === null || this.#isDismissed) return;
    this.#isDismissed = true;
    // While it starts it does not listen, and owns nothing.
    if (!this.#isReady) return void this.#child.kill('SIGKILL');
    this.context.rows.order(this.#row, WorkerOrder.End);
    this.#child.kill('SIGUSR2');
  }

  end(signal: NodeJS.Signals): void {
    this.#isEnding = this.#isDismissed = true;
    this.#clearTimer();
    this.#child?.kill(signal);
  }

  reopenLog(): void {
    if (this.#isReady) this.#child?.kill('SIGUSR1');
    else this.#mustReopen = true;
  }

  #fill(): void {
    const { rows, spawn, priority, log } = this.context;
    this.#row = rows.takeWorker(ANY_LANE, this.generation);
    this.#isReady = this.#isDismissed = false;
    this.#error = 0;
    const child = spawn(ANY_LANE, this.#row);
    this.#child = child;
    this.#startedAt = performance.now();
    if (child.pid !== undefined) {
      rows.noteWorker(this.#row, child.pid);
      priority.lower(child.pid);
    }
    child.stderr?.on('data', (text: Buffer) => {
      log.error({ event: 'worker_output', workerPid: child.pid }, text.toString().trimEnd());
    });
    child.once('error', (error) => this.#vacate(child, systemReason(error)));
    child.once('exit', (code, signal) => this.#vacate(child, signal ?? `exit code ${code}`));
  }

  #standFirst(child: ChildProcess): void {
    this.#isReady = true;
    this.context.priority.restore(child.pid!);
    if (this.#mustReopen) this.reopenLog();
    this.#mustReopen = false;
    this.context.log.info({ event: 'standby_ready', workerPid: child.pid },
      `a standby worker (pid ${child.pid}) is warm`);
    this.context.changed();
  }

  /** The lane is left to whoever its seat starts. */
  #lookForFailure(): void {
    const error = this.context.rows.workerError(this.#row);
    if (error === this.#error) return;
    this.#error = error;
    if (error === 0) return;
    const why = getSystemErrorName(-Math.abs(error));
    this.context.log.warn({ event: 'take_failed', workerPid: this.pid, why },
      `the standby worker (pid ${this.pid}) cannot take a lane over: ${why}`);
  }

  #handOver(): void {
    const { rows } = this.context;
    const lane = rows.workerLane(this.#row);
    const child = this.#child!;
    if (rows.owner(lane)?.worker !== this.#row) {
      // Taken from it already, by another crew or by the seat's own worker.
      if (!this.#isDismissed) child.kill('SIGKILL');
      this.#isDismissed = true;
      return;
    }
    this.#child = null;
    this.#isReady = false;
    const pauseMs = this.onTaken(lane, child, this.#row);
    if (!this.#isEnding) this.#startIn(pauseMs);
  }

  #vacate(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    const { rows, log, changed } = this.context;
    const isExpected = this.#isDismissed;
    rows.markDead(this.#row);
    rows.freeWorker(this.#row);
    this.#child = null;
    this.#isReady = false;
    if (!this.#isEnding) {
      const pauseMs = isExpected ? 0 : this.#backOff.next(performance.now() - this.#startedAt);
      const event = isExpected ? 'standby_ended' : 'standby_died';
      log.warn({ event, workerPid: child.pid, how, pauseMs },
        `the standby worker (pid ${child.pid}) ended: ${how}; a new one starts in ${pauseMs} ms`);
      this.#startIn(pauseMs);
    }
    changed();
  }

  #startIn(pauseMs: number): void {
    this.#clearTimer();
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.start();
    }, pauseMs);
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}
