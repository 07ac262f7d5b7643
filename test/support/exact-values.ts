/**
 * Values that cannot be mistaken for one another: each begins with whose it is, and goes on with
 * bytes cut from one random block at a place that follows from the same numbers. A value of ten
 * megabytes costs no memory of its own and is compared as fast as memory is.
 *
 *   s12.345.10000000.│ block[offset(12, 345) …]
 */
import { Dice } from './seed.js';

const BLOCK_SEED = 20_260_718;
const SLIDE_BYTES = 1 << 20; // how far apart values begin in the block
const BIGGEST = 10 << 20;

let block: Buffer | null = null;

/** The pieces of a value, to be sent or compared in this order. `bytes` up to 10 MiB, at least 64. */
export function valueOf(owner: number, number: number, bytes: number): readonly [Buffer, Buffer] {
  block ??= new Dice(BLOCK_SEED).bytes(BIGGEST + SLIDE_BYTES);
  const head = Buffer.from(`s${owner}.${number}.${bytes}.`, 'latin1');
  const offset = (Math.imul(owner, 7919) + Math.imul(number, 104_729)) >>> 0;
  const start = offset % SLIDE_BYTES;
  return [head, block.subarray(start, start + bytes - head.length)];
}

/** A bulk string of a value: as an argument of a request, and as a reply. */
export function bulkOf(owner: number, number: number, bytes: number): Buffer[] {
  const [head, rest] = valueOf(owner, number, bytes);
  return [Buffer.concat([Buffer.from(`$${bytes}\r\n`), head]), rest, CRLF];
}

const CRLF = Buffer.from('\r\n');
