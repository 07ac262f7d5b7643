/**
 * How long to wait before a worker that died is replaced: not at all, unless it keeps dying right
 * after its start. Then 0, 100 ms, 200 ms, 400 ms … 5 s, until one has lived for 10 s.
 */
const QUICK_MS = 1000;
const LASTING_MS = 10_000;
const STEP_MS = 100;
const LONGEST_MS = 5000;

export class BackOff {
  #quickDeaths = 0;

  /** Deaths within a second of the start since the last worker that lasted. */
  get quickDeaths(): number {
    return this.#quickDeaths;
  }

  /** The pause, in ms, after the death of a worker that lived for `livedMs`. */
  next(livedMs: number): number {
    if (livedMs >= LASTING_MS) this.#quickDeaths = 0;
    if (livedMs >= QUICK_MS) return this.#pause();
    this.#quickDeaths++;
    return this.#pause();
  }

  #pause(): number {
    if (this.#quickDeaths < 2) return 0;
    return Math.min(LONGEST_MS, STEP_MS * 2 ** Math.min(this.#quickDeaths - 2, 16));
  }
}
