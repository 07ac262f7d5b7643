/**
 * Rows of one table, copied out of shared memory; columns are numbers of columns.gen.ts. Others may
 * have written while the copy was made: each value is what it was at some moment of that.
 */
export class Rows {
  readonly #view: DataView;

  constructor(
    private readonly bytes: Buffer,
    private readonly rowBytes: number,
  ) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get count(): number {
    return this.bytes.length / this.rowBytes;
  }

  word(row: number, column: number): number {
    return this.#view.getInt32(row * this.rowBytes + column * 4, true);
  }

  double(row: number, column: number): number {
    return this.#view.getFloat64(row * this.rowBytes + column * 8, true);
  }

  /** Of a column of type u64. */
  big(row: number, column: number): bigint {
    return this.#view.getBigUint64(row * this.rowBytes + column, true);
  }

  /** Of a column of type u8 that holds text. */
  text(row: number, column: number, room: number): string {
    const at = row * this.rowBytes + column;
    const text = this.bytes.toString('latin1', at, at + room).replace(/\0[^]*$/, '');
    return text.replace(/[^\x20-\x7e]/g, '?'); // it goes to a terminal
  }
}
