/**
 * Random numbers for tests that can be had again: the seed is said on every run, and ROUTING_SEED
 * sets it.
 */
import type { Test } from 'tap';
import { randomSeed, xorshift } from '../../../src/routing/random.js';

export class Seeded {
  #state: number;

  constructor(t: Pick<Test, 'comment'>) {
    this.#state = Number(process.env['ROUTING_SEED'] ?? randomSeed()) | 1;
    t.comment(`ROUTING_SEED=${this.#state}`);
  }

  /** Any 32 bits, as a signed number. */
  next(): number {
    this.#state = xorshift(this.#state);
    return this.#state;
  }

  /** An integer in [0, limit). */
  below(limit: number): number {
    return (this.next() >>> 0) % limit;
  }

  bytes(size: number): Buffer {
    return Buffer.from(Array.from({ length: size }, () => this.below(256)));
  }
}
