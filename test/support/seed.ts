/**
 * Random numbers that can be had again: every test that plays dice prints its seed, and
 * BATON_SEED=n in the environment repeats the game.
 */

export class Dice {
  #state: number;

  constructor(readonly seed: number) {
    this.#state = seed | 0;
  }

  /** 32 random bits, unsigned (mulberry32). */
  bits(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** An integer from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor((this.bits() / 0x1_0000_0000) * below);
  }

  /** An integer from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  isHead(): boolean {
    return (this.bits() & 1) === 1;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }

  /** Any bytes at all, CR, LF and zero among them. */
  bytes(length: number): Buffer {
    const buffer = Buffer.allocUnsafe(length);
    let at = 0;
    for (; at + 4 <= length; at += 4) buffer.writeUInt32LE(this.bits(), at);
    for (; at < length; at += 1) buffer[at] = this.bits() & 0xff;
    return buffer;
  }
}

/** A new game, announced as a TAP comment. */
export function dice(t: { comment(...text: unknown[]): void }): Dice {
  const seed = process.env.BATON_SEED === undefined
    ? Math.floor(Math.random() * 0x1_0000_0000) : Number(process.env.BATON_SEED);
  t.comment(`BATON_SEED=${seed}`);
  return new Dice(seed);
}
