/**
 * One row from one layout to another, in place:
 *
 *   before   │ a i32 │ b i32 │ c f64 │ spare │      copies    bytes that only move
 *               │       └─×1000──┐              converts  by a migration, element by element
 *   after    │ a i32 │ new │ b f64 │ c f64 │      fills     the column's initial value
 */
import { columnBytes, sizeOf, type ColumnType } from './schema.js';
import type { Source } from './compatibility.js';

const I32_MAX = 0x7fffffff;

export class RowWriter {
  readonly #view: DataView;
  readonly #words: Int32Array;
  readonly #old: DataView;
  readonly #oldWords: Int32Array;
  readonly #copies: readonly Run[];
  readonly #converts: readonly Source[];
  readonly #fills: readonly Source[];

  /** `bytes` hold the rows, `sources` name every column of the layout to be. */
  constructor(bytes: Uint8Array, rowBytes: number, sources: readonly Source[]) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2);
    this.#oldWords = new Int32Array(rowBytes / 4);
    this.#old = new DataView(this.#oldWords.buffer);
    this.#fills = sources.filter(({ from }) => from === null);
    this.#converts = sources.filter(({ from, convert }) => from !== null && convert !== null);
    this.#copies = runsOf(sources.filter(({ convert }) => convert === null));
  }

  /** Sets columns that the other layout has no value for. `at` is the row's first byte. */
  fill(at: number): void {
    for (const { column, convert } of this.#fills) {
      const size = sizeOf[column.type];
      const value = convert!(0);
      for (let place = 0; place < column.count; place += 1) {
        write(this.#view, column.type, at + column.offset + place * size, value);
      }
    }
  }

  /** Writes the whole row anew; what no column has is 0. */
  rewrite(at: number): void {
    const [words, old] = [this.#words, this.#oldWords];
    for (let word = 0; word < old.length; word += 1) {
      old[word] = words[at / 4 + word]!;
      words[at / 4 + word] = 0;
    }
    for (const run of this.#copies) this.#copy(run, at);
    for (const source of this.#converts) this.#convert(source, at);
    this.fill(at);
  }

  #copy({ from, to, bytes }: Run, at: number): void {
    if ((from | to | bytes) % 4 !== 0) {
      for (let byte = 0; byte < bytes; byte += 1) {
        this.#view.setUint8(at + to + byte, this.#old.getUint8(from + byte));
      }
      return;
    }
    const [target, source] = [(at + to) / 4, from / 4];
    for (let word = 0; word < bytes / 4; word += 1) {
      this.#words[target + word] = this.#oldWords[source + word]!;
    }
  }

  #convert({ column, from, convert }: Source, at: number): void {
    const [size, oldSize] = [sizeOf[column.type], sizeOf[from!.type]];
    for (let place = 0; place < Math.min(column.count, from!.count); place += 1) {
      const old = read(this.#old, from!.type, from!.offset + place * oldSize);
      write(this.#view, column.type, at + column.offset + place * size, convert!(old));
    }
  }
}

/** Bytes that stay together, from and to their place in the row. */
interface Run {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
}

/** Neighbours that stay neighbours are copied at one go. */
function runsOf(copies: readonly Source[]): Run[] {
  const runs: Run[] = [];
  for (const { column, from } of copies) {
    const next = { from: from!.offset, to: column.offset, bytes: columnBytes(column) };
    const last = runs[runs.length - 1];
    const isNeighbour = last !== undefined && last.to + last.bytes === next.to
      && last.from + last.bytes === next.from;
    if (isNeighbour) runs[runs.length - 1] = { ...last, bytes: last.bytes + next.bytes };
    else runs.push(next);
  }
  return runs;
}

function read(view: DataView, type: ColumnType, at: number): number {
  switch (type) {
    case 'i32':
      return view.getInt32(at, true);
    case 'f64':
      return view.getFloat64(at, true);
    case 'u64':
      return Number(view.getBigUint64(at, true)); // exact to 2^53
    case 'u8':
      return view.getUint8(at);
  }
}

/** A value that the type cannot hold becomes the nearest one that it can. */
function write(view: DataView, type: ColumnType, at: number, value: number): void {
  const within = (low: number, high: number): number =>
    Math.min(high, Math.max(low, Math.round(value) || 0));
  switch (type) {
    case 'i32':
      view.setInt32(at, within(-I32_MAX - 1, I32_MAX), true);
      break;
    case 'f64':
      view.setFloat64(at, value, true);
      break;
    case 'u64':
      view.setBigUint64(at, BigInt(within(0, Number.MAX_SAFE_INTEGER)), true);
      break;
    case 'u8':
      view.setUint8(at, within(0, 255));
      break;
  }
}
