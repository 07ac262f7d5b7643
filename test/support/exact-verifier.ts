/**
 * Compares a stream of replies with what must come, byte by byte, as it arrives.
 *
 *                ┌────────────┬────────────┬────────────┐
 *   owed:        │ :42        │ $3 … value │ *3 …       │ ◄─ expect()
 *                └────────────┴────────────┴────────────┘
 *                    ▲ take(bytes) goes through from here
 *
 * Three things can be expected: exact bytes; a line that a function judges; any reply that a
 * function judges. An error reply in the place of another one is told as an error and the stream
 * goes on behind it; anything else that differs ends the comparison for good.
 */
import { ReplyParser, show, type Reply } from './resp.js';

export interface Expected {
  readonly request: string; // for messages
  readonly pieces?: readonly Buffer[]; // exact bytes
  /** The reply is one line; judged without its CR LF. */
  readonly line?: (text: string) => boolean;
  readonly any?: (reply: Reply) => boolean; // nothing else may be owed then
  readonly onError?: (text: string) => void;
  sentMs?: number;
}

export interface Watcher {
  answered(expected: Expected): void;
  error(expected: Expected, text: string): void; // an error came instead, which is an answer too
  mismatch(text: string): void; // nothing is compared any more
}

const MINUS = 0x2d;
const LF = 0x0a;

export class Verifier {
  readonly #owed: Expected[] = []; // from #first on
  #first = 0;
  #piece = 0; // of the oldest expected
  #at = 0; // bytes of that piece which have come
  #line: string | null = null; // of a line, or of an error that stands for something else
  #parser: ReplyParser | null = null;
  isBroken = false;

  constructor(private readonly watcher: Watcher) {}

  expect(expected: Expected): void {
    this.#owed.push(expected);
  }

  get owed(): number {
    return this.#owed.length - this.#first;
  }

  get oldest(): Expected | undefined {
    return this.#owed[this.#first];
  }

  take(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length && !this.isBroken) {
      const expected = this.oldest;
      if (expected === undefined) {
        this.#break(`nothing is owed, but ${show(bytes.subarray(at))} came`);
      } else if (this.#line !== null || expected.line !== undefined || this.#isError(bytes, at)) {
        at = this.#takeLine(expected, bytes, at);
      } else if (expected.any !== undefined) {
        at = this.#takeAny(expected, bytes.subarray(at)) ? bytes.length : at;
      } else {
        at = this.#compare(expected, bytes, at);
      }
    }
  }

  #isError(bytes: Buffer, at: number): boolean {
    return this.#piece === 0 && this.#at === 0 && this.#parser === null && bytes[at] === MINUS;
  }

  #takeLine(expected: Expected, bytes: Buffer, at: number): number {
    const end = bytes.indexOf(LF, at);
    const stop = end < 0 ? bytes.length : end + 1;
    this.#line = (this.#line ?? '') + bytes.toString('latin1', at, stop);
    if (end < 0) return stop;
    const text = this.#line.slice(0, -2);
    this.#line = null;
    if (expected.line?.(text) === true) this.#next(expected);
    else if (text.startsWith('-')) {
      expected.onError?.(text);
      this.#first += 1;
      this.watcher.error(expected, text);
    } else this.#break(`${expected.request} was answered by ${JSON.stringify(text)}`);
    return stop;
  }

  #takeAny(expected: Expected, bytes: Buffer): boolean {
    this.#parser ??= new ReplyParser();
    const replies = this.#parser.push(bytes);
    if (replies.length === 0) return true;
    const isAll = replies.length === 1 && this.#parser.rest.length === 0;
    this.#parser = null;
    if (isAll && expected.any!(replies[0]!)) this.#next(expected);
    else this.#break(`${expected.request} was answered by ${show(bytes)}`);
    return true;
  }

  #compare(expected: Expected, bytes: Buffer, at: number): number {
    const pieces = expected.pieces!;
    const piece = pieces[this.#piece]!;
    const length = Math.min(piece.length - this.#at, bytes.length - at);
    const isSame = piece.compare(bytes, at, at + length, this.#at, this.#at + length) === 0;
    if (!isSame) {
      let same = 0;
      while (piece[this.#at + same] === bytes[at + same]) same += 1;
      this.#break(`${expected.request}: from byte ${this.#at + same} of piece ${this.#piece} on `
        + `expected ${show(piece.subarray(this.#at + same))}, got ${show(bytes.subarray(at + same))}`);
      return at;
    }
    this.#at += length;
    if (this.#at === piece.length) {
      this.#at = 0;
      this.#piece += 1;
      if (this.#piece === pieces.length) this.#next(expected);
    }
    return at + length;
  }

  #next(expected: Expected): void {
    this.#piece = 0;
    this.#first += 1;
    if (this.#first === this.#owed.length || this.#first > 1024) {
      this.#owed.splice(0, this.#first);
      this.#first = 0;
    }
    this.watcher.answered(expected);
  }

  #break(text: string): void {
    this.isBroken = true;
    this.watcher.mismatch(text);
  }
}
