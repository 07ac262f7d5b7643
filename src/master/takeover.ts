/**
 * One crew takes the lanes over from another of the same master: a reload, from its first worker to
 * the end of the last old one.
 *
 *         all ready        a moment      all lanes taken      the old workers have ended
 *   Warming ───────► Resting ─────► Taking ────────────► Parting ─────────────────────────► Done
 *      │ do not start                 │ cannot take
 *      │                              ▼          the old crew serves all lanes again
 *      │                          Returning ───────────────┐
 *      └───────────────────────────────────────────────────┴──► Undoing ──the new──► Failed
 *                                                                         ones have ended
 *
 * Sessions stay whichever way it goes: a lane is always with the one crew or with the other.
 */
import type { Crew } from './crew.js';
import { Patience } from './patience.js';

export const enum TakeoverStage { Warming, Resting, Taking, Parting, Returning, Undoing, Done, Failed }

/** What a takeover needs of the crews. */
export type TakingCrew = Pick<Crew, 'isReady' | 'isServing' | 'isTaking' | 'hasEnded' | 'failedStarts'
  | 'failedTakes' | 'lanes' | 'serve' | 'standBy' | 'dismiss' | 'end'>;

export interface TakeoverSteps {
  /** The new workers are warm; the lanes are about to follow the new configuration. */
  onTaking(): void;
  /** Every lane follows it. */
  onTaken(): void;
  /** It cannot be: told once, before the old crew takes back what was taken. */
  onFailing(why: string): void;
  /** Something waited for has come, or its time is over. */
  changed(): void;
}

const WARM_PATIENCE_MS = 120_000; // with a low priority, perhaps on a busy machine
/** Lets what the start has held up drain, so that lanes change hands with short queues. */
export const REST_MS = 150;
const TAKE_PATIENCE_MS = 30_000;
const PART_PATIENCE_MS = 5000;
const FAILED_STARTS_MAX = 3;
const FAILED_TAKES_MAX = 5;

export class Takeover<C extends TakingCrew = Crew> {
  #stage = TakeoverStage.Warming;
  readonly #patience: Patience;

  constructor(
    readonly old: C, readonly next: C, private readonly steps: TakeoverSteps,
  ) {
    this.#patience = new Patience(steps.changed);
    this.#enter(TakeoverStage.Warming, WARM_PATIENCE_MS);
  }

  get stage(): TakeoverStage {
    return this.#stage;
  }

  /** Goes as far as it can now. Called in each cycle of the master's loop. */
  continue(): void {
    switch (this.#stage) {
      case TakeoverStage.Warming: return this.#warm();
      case TakeoverStage.Resting: return this.#rest();
      case TakeoverStage.Taking: return this.#take();
      case TakeoverStage.Parting: return this.#part();
      case TakeoverStage.Returning:
        // Who was told to take a lane may still do so: it is not to be ended as its owner.
        if (this.old.isServing && !this.next.isTaking) this.#undo();
        return;
      case TakeoverStage.Undoing:
        if (this.#patience.isOver) this.next.end('SIGKILL');
        if (this.next.hasEnded) this.#enter(TakeoverStage.Failed, null);
        return;
      default:
    }
  }

  /** No longer waits for anything: the master itself ends. */
  stop(): void {
    this.#enter(this.#stage, null);
  }

  /** Not to be: before a lane is taken, or because a lane cannot be. */
  fail(why: string): void {
    const hasTaken = this.#stage === TakeoverStage.Taking;
    this.steps.onFailing(why);
    if (!hasTaken) return this.#undo();
    this.next.standBy();
    this.old.serve(this.old.lanes, true);
    this.#enter(TakeoverStage.Returning, null);
  }

  #warm(): void {
    if (this.next.isReady) {
      this.#enter(TakeoverStage.Resting, REST_MS);
    } else if (this.#patience.isOver || this.next.failedStarts >= FAILED_STARTS_MAX) {
      this.fail('its workers do not start');
    }
  }

  #rest(): void {
    if (!this.#patience.isOver) return;
    this.steps.onTaking();
    this.old.standBy();
    this.#enter(TakeoverStage.Taking, TAKE_PATIENCE_MS);
    this.next.serve(this.next.lanes, true);
  }

  #take(): void {
    if (this.next.isServing) {
      this.#enter(TakeoverStage.Parting, PART_PATIENCE_MS);
      this.steps.onTaken();
      this.old.dismiss();
    } else if (this.#patience.isOver || this.next.failedTakes >= FAILED_TAKES_MAX) {
      this.fail('its workers cannot take the lanes over');
    }
  }

  #part(): void {
    if (this.#patience.isOver) this.old.end('SIGKILL');
    if (this.old.hasEnded) this.#enter(TakeoverStage.Done, null);
  }

  /** The new workers own no lane that the old ones have. */
  #undo(): void {
    this.#enter(TakeoverStage.Undoing, PART_PATIENCE_MS);
    this.next.end('SIGTERM');
  }

  #enter(stage: TakeoverStage, patienceMs: number | null): void {
    this.#stage = stage;
    this.#patience.begin(patienceMs);
    this.steps.changed();
  }
}
