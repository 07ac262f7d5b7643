/**
 * Time that the host of a virtual machine gave to others while this one wanted to run ("steal" in
 * /proc/stat). Nothing that is measured at such a moment says anything about a program.
 */
import { readFileSync } from 'node:fs';

const LOOK_EVERY_MS = 20;
const STEAL = 8; // the number of the field in the line "cpu  …", see proc(5)
const TICK_MS = 10; // USER_HZ is 100 wherever Linux runs

function stolenMs(): number {
  const [line] = readFileSync('/proc/stat', 'latin1').split('\n', 1);
  return Number(line!.split(/\s+/)[STEAL]) * TICK_MS;
}

/** As in every other process: µs of CLOCK_MONOTONIC. */
export function nowUs(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

export class StealLog {
  readonly #atUs: number[] = [];
  readonly #totalMs: number[] = []; // of all processors, since the machine started
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#look();
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#look();
  }

  /** In ms: what was taken from the last look before `fromUs` to the first one after `toUs`. */
  between(fromUs: number, toUs: number): number {
    const after = this.#atUs.findIndex((at) => at >= toUs);
    const before = this.#atUs.findLastIndex((at) => at <= fromUs);
    const end = after < 0 ? this.#atUs.length - 1 : after;
    return this.#totalMs[end]! - this.#totalMs[Math.max(0, before)]!;
  }

  #look(): void {
    this.#atUs.push(nowUs());
    this.#totalMs.push(stolenMs());
  }
}
