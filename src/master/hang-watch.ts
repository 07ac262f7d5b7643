/**
 * Finds workers that hang. A lane takes a turn ten times a second, however quiet it is, and at once
 * when its doorbell rings: one that is rung and takes none is stuck, or stopped.
 *
 *   a third of worker_hang_timeout   │ ring │  ring │  ring │
 *   turns of the lane               7│     7│      7│      7│ it hangs
 *
 * Thirds are counted, not time: while the master itself does not run (it is stopped, the machine
 * sleeps) nothing counts against anybody.
 */

export interface ServedLane {
  readonly lane: number;
  readonly worker: number; // pid
}

export interface HangSources {
  /** The lanes that are to be watched now. */
  served(): readonly ServedLane[];
  /** Turns that a lane has sealed; wraps. */
  turns(lane: number): number;
  ring(lane: number): void;
  /** Said once of a worker. */
  hangs(served: ServedLane): void;
}

const THIRDS = 3;

interface Seen {
  readonly worker: number;
  readonly turns: number;
  readonly missed: number; // thirds without a turn
}

export class HangWatch {
  #seen = new Map<number, Seen>();
  #timer: NodeJS.Timeout | null = null;

  constructor(private readonly sources: HangSources) {}

  /** `timeoutMs` 0: nobody is watched. Keeps no process alive. */
  start(timeoutMs: number): void {
    this.stop();
    if (timeoutMs === 0) return;
    this.#timer = setInterval(() => this.look(), timeoutMs / THIRDS);
    this.#timer.unref();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#seen.clear();
  }

  /** Another third is over. */
  look(): void {
    const { sources } = this;
    const before = this.#seen;
    this.#seen = new Map();
    for (const served of sources.served()) {
      const { lane, worker } = served;
      const turns = sources.turns(lane);
      const last = before.get(lane);
      const isStuck = last?.worker === worker && last.turns === turns;
      const missed = isStuck ? last.missed + 1 : 0;
      this.#seen.set(lane, { worker, turns, missed });
      if (missed === THIRDS) sources.hangs(served);
      else sources.ring(lane);
    }
  }
}
