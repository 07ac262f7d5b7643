/**
 * Operation programs: what is to be done with a request that is not plainly forwarded. A program is
 * a run of words in the lane's operation region, its replies lie in scratch; C++ carries it out when
 * it applies the plan (native/apply.cc). Both regions begin anew with each turn.
 *
 *   operation region: | PONG program | program | program | …
 *   scratch:          | +PONG\r\n …  | reply | reply | …
 */
import { native } from '../native/binding.js';
import { Operation } from '../shm/codes.js';
import { OPERATION_WORDS, SCRATCH_BYTES } from '../shm/plan.js';
import { LaneHead } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';

const PONG = Buffer.from('+PONG\r\n');
const FIRST_WORD = 8;
const FIRST_BYTE = 16;
/** A single reply must fit scratch at least this often, or it is refused. */
const REPLY_MAX = SCRATCH_BYTES / 2;

/** The plan of the one program that is always there: answers +PONG. */
export const PONG_PLAN = ~0;

export class Program {
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #base: number;
  readonly #scratch: number;
  readonly #head: number;
  #at = FIRST_WORD;
  #scratchAt = FIRST_BYTE;
  #begin = 0;

  constructor(view: LaneView) {
    this.#words = view.words;
    this.#bytes = view.bytes;
    this.#base = view.operation;
    this.#scratch = view.scratch;
    this.#head = view.head;
    this.#bytes.set(PONG, this.#scratch);
    this.#words.set([Operation.Reply, 0, PONG.length, Operation.End], this.#base);
  }

  /** The plans written so far have been carried out, or will never be: their space is free. */
  reset(): void {
    this.#at = FIRST_WORD;
    this.#scratchAt = FIRST_BYTE;
  }

  /**
   * Begins a program for descriptor `index`, with room for `words` words and a reply of `bytes`
   * bytes; earlier plans of the turn are carried out if that makes the room.
   */
  begin(index: number, words: number, bytes: number): this {
    if (this.#at + words + 2 > OPERATION_WORDS || this.#scratchAt + bytes > SCRATCH_BYTES) {
      native.laneApply(index);
      this.reset();
    }
    this.#begin = this.#at;
    return this;
  }

  fits(words: number, bytes: number): boolean {
    return words + FIRST_WORD + 2 <= OPERATION_WORDS && bytes <= REPLY_MAX;
  }

  word(value: number): this {
    this.#words[this.#base + this.#at++] = value;
    return this;
  }

  reply(bytes: Uint8Array): this {
    this.#bytes.set(bytes, this.#scratch + this.#scratchAt);
    this.word(Operation.Reply).word(this.#scratchAt).word(bytes.length);
    this.#scratchAt += bytes.length;
    return this;
  }

  /** Ends the program and returns the plan that names it. */
  end(): number {
    this.word(Operation.End);
    this.#words[this.#head + LaneHead.Operations] = this.#at;
    return ~this.#begin;
  }
}
