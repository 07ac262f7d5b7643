/**
 * The workers of one generation: one seat per lane, filled again when its worker dies.
 *
 *          start                serves                stop(QUIT)            all gone
 *   Empty ───────► starting ───────────► serving ───────────────► ending ─────────────► ended
 *                     ▲  │ dies             │ dies
 *                     └──┴──── back-off ◄───┘
 *
 * A worker says that it serves in its lane's state word, at which the master looks while any is
 * starting. Events only call `changed`; what follows from them is decided in the master's loop.
 */
import type { ChildProcess } from 'node:child_process';
import { systemReason } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { LaneState } from '../shm/codes.js';
import { BackOff } from './back-off.js';
import type { Generation } from './generation.js';
import type { Instance } from './instance.js';

const LOOK_EVERY_MS = 5;

export interface CrewContext {
  readonly instance: Instance;
  readonly log: Logger;
  /** Starts a worker process. */
  readonly spawn: (generation: Generation, number: number) => ChildProcess;
  /** Something happened that the master's loop should look at. */
  readonly changed: () => void;
}

interface Seat {
  readonly number: number;
  readonly lane: number;
  readonly backOff: BackOff;
  child: ChildProcess | null;
  startedAt: number; // monotonic ms
  isServing: boolean;
  mustReopen: boolean; // its log, once it serves
  hasServed: boolean; // any worker of this seat, ever
  again: NodeJS.Timeout | null; // set while the seat waits for its next worker
}

export class Crew {
  readonly #seats: Seat[];
  #isEnding = false;
  #look: NodeJS.Timeout | null = null;

  constructor(private readonly context: CrewContext, readonly generation: Generation) {
    this.#seats = Array.from({ length: generation.workers }, (_, number) => ({
      number, lane: generation.firstLane + number, backOff: new BackOff(),
      child: null, startedAt: 0, isServing: false, mustReopen: false, hasServed: false, again: null,
    }));
  }

  /** Starts every worker. Throws what opening a lane throws (ENOSPC). */
  start(): void {
    for (const seat of this.#seats) this.#fill(seat);
  }

  /** Every lane is served now. */
  get isServing(): boolean {
    return this.#seats.every(({ isServing }) => isServing);
  }

  /** No process is left, and none will be started. */
  get hasEnded(): boolean {
    return this.#isEnding && this.#seats.every(({ child }) => child === null);
  }

  /** The most deaths at the start, one right after the other, of a seat that has never served. */
  get failedStarts(): number {
    const failed = this.#seats.filter(({ hasServed }) => !hasServed);
    return Math.max(0, ...failed.map(({ backOff }) => backOff.quickDeaths));
  }

  /** Lanes with a living worker. */
  get lanes(): number[] {
    return this.#seats.filter(({ child }) => child !== null).map(({ lane }) => lane);
  }

  get pids(): number[] {
    return this.#seats.flatMap(({ child }) => child?.pid ?? []);
  }

  /** USR1 before a worker is up would open Node's inspector there: starting ones get it later. */
  reopenLogs(): void {
    for (const seat of this.#seats) {
      if (seat.isServing) seat.child?.kill('SIGUSR1');
      else seat.mustReopen = true;
    }
  }

  /** Ends the workers by `signal`; none is replaced from now on. A harder one may follow. */
  end(signal: NodeJS.Signals): void {
    this.#isEnding = true;
    for (const seat of this.#seats) {
      if (seat.again !== null) clearTimeout(seat.again);
      seat.again = null;
      if (seat.child !== null && signal === 'SIGQUIT') this.context.instance.drainLane(seat.lane);
    }
    for (const { child } of this.#seats) child?.kill(signal);
    this.#stopLooking();
    this.context.changed();
  }

  #fill(seat: Seat): void {
    const { instance, spawn } = this.context;
    instance.openLane(this.generation, seat.number);
    const child = spawn(this.generation, seat.number);
    seat.child = child;
    seat.startedAt = performance.now();
    seat.isServing = false;
    child.stderr?.on('data', (text: Buffer) => this.#tellOutput(seat, text.toString()));
    // A process that cannot even be started gives an error event instead of an exit.
    child.once('error', (error) => this.#vacate(seat, child, systemReason(error)));
    child.once('exit', (code, signal) => this.#vacate(seat, child, signal ?? `exit code ${code}`));
    this.#look ??= setInterval(() => this.#lookForServing(), LOOK_EVERY_MS);
  }

  #vacate(seat: Seat, child: ChildProcess, how: string): void {
    if (seat.child !== child) return;
    seat.child = null;
    const wasServing = seat.isServing;
    seat.isServing = false;
    if (this.#isEnding) this.#tellEnd(seat, child, how);
    else this.#replace(seat, child, how, wasServing);
    this.context.changed();
  }

  /** What Node itself says, of an uncaught error for example. */
  #tellOutput(seat: Seat, text: string): void {
    this.context.log.error({ event: 'worker_output', worker: seat.number }, text.trimEnd());
  }

  #tellEnd(seat: Seat, child: ChildProcess, how: string): void {
    this.context.log.info({ event: 'worker_ended', worker: seat.number, workerPid: child.pid, how },
      `worker ${seat.number} (pid ${child.pid}) ended: ${how}`);
  }

  #replace(seat: Seat, child: ChildProcess, how: string, wasServing: boolean): void {
    const { instance, log } = this.context;
    const pauseMs = seat.backOff.next(performance.now() - seat.startedAt);
    instance.countRestart(seat.lane);
    const when = pauseMs === 0 ? 'at once' : `in ${pauseMs} ms`;
    const facts = { worker: seat.number, workerPid: child.pid, how, pauseMs, wasServing };
    log.error({ event: 'worker_died', ...facts },
      `worker ${seat.number} (pid ${child.pid}) died: ${how}; a new one starts ${when}`);
    seat.again = setTimeout(() => this.#refill(seat), pauseMs);
  }

  #refill(seat: Seat): void {
    seat.again = null;
    try {
      this.#fill(seat);
    } catch (error) {
      const pauseMs = seat.backOff.next(0);
      this.context.log.error({ event: 'worker_not_started', worker: seat.number, pauseMs },
        `worker ${seat.number} cannot be started: ${systemReason(error)}; ` +
        `next try in ${pauseMs} ms`);
      seat.again = setTimeout(() => this.#refill(seat), pauseMs);
    }
  }

  #lookForServing(): void {
    let isStarting = false;
    for (const seat of this.#seats) {
      if (seat.child === null || seat.isServing) continue;
      if (this.context.instance.laneState(seat.lane) !== LaneState.Serving) {
        isStarting = true;
        continue;
      }
      seat.isServing = true;
      seat.hasServed = true;
      if (seat.mustReopen) seat.child.kill('SIGUSR1');
      seat.mustReopen = false;
      const { pid } = seat.child;
      this.context.log.info({ event: 'worker_serving', worker: seat.number, workerPid: pid },
        `worker ${seat.number} (pid ${pid}) serves`);
      this.context.changed();
    }
    if (!isStarting) this.#stopLooking();
  }

  #stopLooking(): void {
    if (this.#look !== null) clearInterval(this.#look);
    this.#look = null;
  }
}
