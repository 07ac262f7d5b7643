/**
 * The workers that one master has for one generation of the configuration: a seat per lane. Several
 * crews may be there for the same lanes (before and after a reload, of two masters during an
 * upgrade), but at most one of them has the goal to serve a lane. Once it serves all of them it has
 * standbys, too, which take a lane when its worker dies.
 */
import { workerCount } from './worker-count.js';
import type { Generation } from './generation.js';
import { HangWatch } from './hang-watch.js';
import { Goal, Seat } from './seat.js';
import type { SeatContext } from './seat-context.js';
import { Standby } from './standby.js';

export class Crew {
  readonly #seats: readonly Seat[];
  readonly #hangWatch: HangWatch;
  readonly #standbys: readonly Standby[];
  #isEnding = false;
  /** Lanes whose sessions have an owner meanwhile are taken one by one: each pause is short. */
  #isCareful = false;

  constructor(private readonly context: SeatContext, readonly generation: Generation) {
    const { settings } = generation.roster;
    this.#seats = Array.from({ length: workerCount(settings) }, (_, lane) =>
      new Seat(context, lane, generation, () => this.#standbys.some(({ isReady }) => isReady)));
    this.#hangWatch = new HangWatch({
      served: () => this.#seats.flatMap(({ lane, pid, isServing }) =>
        isServing && pid !== null ? { lane, worker: pid } : []),
      turns: (lane) => context.rows.turns(lane),
      ring: (lane) => context.ring(lane),
      hangs: ({ lane }) => this.#seats[lane]!.killHung(),
    });
    // A roster that a version before this one has written does not say how many.
    this.#standbys = Array.from({ length: settings.global.workerStandby ?? 0 }, () =>
      new Standby(context, generation, (lane, child, row) =>
        this.#seats[lane]!.occupy(child, row)));
  }

  /** Starts every worker; they stand by. Throws what opening a lane throws (ENOSPC). */
  start(): void {
    for (const seat of this.#seats) seat.start();
    this.#hangWatch.start(this.generation.roster.settings.global.workerHangTimeoutMs);
  }

  get lanes(): readonly number[] {
    return this.#seats.map(({ lane }) => lane);
  }

  get pids(): number[] {
    return this.#seats.flatMap(({ pid }) => pid ?? []);
  }

  /** Every worker is warm. */
  get isReady(): boolean {
    return this.#seats.every(({ isReady }) => isReady);
  }

  /** Every lane is served by this crew. */
  get isServing(): boolean {
    return this.#seats.every(({ isServing }) => isServing);
  }

  /** No worker of it will ever serve again. */
  get isDismissed(): boolean {
    return this.#isEnding;
  }

  /** A worker was told to take its lane and has not said how that went. */
  get isTaking(): boolean {
    return this.#seats.some(({ isTaking }) => isTaking);
  }

  /** No process is left, and none will be started. */
  get hasEnded(): boolean {
    return this.#isEnding && [...this.#seats, ...this.#standbys].every(({ isEmpty }) => isEmpty);
  }

  /** The most deaths at the start of a seat that never had a ready worker. */
  get failedStarts(): number {
    return Math.max(0, ...this.#seats.map(({ failedStarts }) => failedStarts));
  }

  /** The most takes of one seat that failed since it was last told to serve. */
  get failedTakes(): number {
    return Math.max(0, ...this.#seats.map(({ failedTakes }) => failedTakes));
  }

  serves(lane: number): boolean {
    return this.#seats[lane]?.isServing ?? false;
  }

  /**
   * Takes these lanes, from whoever owns them, and keeps them from now on. `isCareful`: one by one,
   * because they are served meanwhile.
   */
  serve(lanes: readonly number[], isCareful: boolean): void {
    this.#isCareful = isCareful;
    this.#pursue(lanes, Goal.Serve);
  }

  /** Keeps warm workers for these lanes, but leaves them to whoever takes them. */
  standBy(lanes: readonly number[] = this.lanes): void {
    this.#pursue(lanes, Goal.StandBy);
  }

  /** Ends the workers as soon as they own nothing. */
  dismiss(): void {
    this.#isEnding = true;
    this.#hangWatch.stop();
    for (const standby of this.#standbys) standby.dismiss();
    this.#pursue(this.lanes, Goal.End);
  }

  /** Ends the workers by `signal`, whatever they own; a harder one may follow. */
  end(signal: NodeJS.Signals): void {
    this.#isEnding = true;
    this.#hangWatch.stop();
    for (const each of [...this.#standbys, ...this.#seats]) each.end(signal);
    this.context.changed();
  }

  reopenLogs(): void {
    for (const each of [...this.#standbys, ...this.#seats]) each.reopenLog();
  }

  /** Follows what the workers say in their rows. */
  look(): void {
    for (const standby of this.#standbys) standby.look();
    let isBusy = this.#isCareful && this.isTaking;
    for (const seat of this.#seats) {
      seat.look(!isBusy || seat.isTaking);
      isBusy ||= this.#isCareful && seat.isTaking;
    }
    if (!this.isServing) return;
    this.#isCareful = false;
    for (const standby of this.#standbys) standby.start();
  }

  #pursue(lanes: readonly number[], goal: Goal): void {
    for (const lane of lanes) this.#seats[lane]?.pursue(goal);
    this.look();
    this.context.changed();
  }
}
