/**
 * Finds a number by a short ASCII name in raw bytes, in any case, without making a string.
 *
 *   hash of the lower-case bytes ─▶ slots[h & mask] ─▶ number n ─▶ compare with names[n] ─▶ n
 *                                        └─ taken by another name: next slot, until an empty one
 *
 * Built once; never allocates afterwards.
 */
import { assert } from '../base/assert.js';

const EMPTY = -1;
const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

export class NameIndex {
  readonly #slots: Int32Array;
  readonly #mask: number;
  readonly #starts: Int32Array;  // names[n] is bytes #starts[n] … #starts[n + 1] - 1
  readonly #bytes: Uint8Array;   // all names, end to end
  readonly #longest: number;

  /** `names` are lower case and different; the number of a name is its index. */
  constructor(names: readonly string[]) {
    const size = 4 << Math.ceil(Math.log2(names.length + 1));
    this.#slots = new Int32Array(size).fill(EMPTY);
    this.#mask = size - 1;
    this.#bytes = Buffer.from(names.join(''), 'latin1');
    this.#starts = new Int32Array(names.length + 1);
    this.#longest = names.reduce((longest, name) => Math.max(longest, name.length), 0);
    for (let n = 0; n < names.length; n += 1) {
      this.#starts[n + 1] = this.#starts[n] + names[n].length;
      this.#add(n);
    }
  }

  /** The number of the name in bytes[start … start + length - 1], or -1. */
  find(bytes: Uint8Array, start: number, length: number): number {
    if (length === 0 || length > this.#longest) return EMPTY;
    let slot = hashOf(bytes, start, length) & this.#mask;
    for (;;) {
      const n = this.#slots[slot];
      if (n === EMPTY || this.#isName(n, bytes, start, length)) return n;
      slot = (slot + 1) & this.#mask;
    }
  }

  #add(n: number): void {
    const start = this.#starts[n];
    const length = this.#starts[n + 1] - start;
    assert(this.find(this.#bytes, start, length) === EMPTY, 'names in an index are different');
    let slot = hashOf(this.#bytes, start, length) & this.#mask;
    while (this.#slots[slot] !== EMPTY) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = n;
  }

  #isName(n: number, bytes: Uint8Array, start: number, length: number): boolean {
    const own = this.#starts[n];
    if (this.#starts[n + 1] - own !== length) return false;
    for (let i = 0; i < length; i += 1) {
      if (lowerOf(bytes[start + i]) !== this.#bytes[own + i]) return false;
    }
    return true;
  }
}

function hashOf(bytes: Uint8Array, start: number, length: number): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < length; i += 1) {
    hash = Math.imul(hash ^ lowerOf(bytes[start + i]), FNV_PRIME);
  }
  return hash ^ (hash >>> 15);
}

function lowerOf(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}
