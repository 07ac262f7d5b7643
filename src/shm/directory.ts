/**
 * The directory: what two versions of the program tell each other of their columns. It has two
 * halves, so that the layouts of a version that gives lanes and of one that takes them are listed
 * at the same time. superblock.directory_a and _b hold the schema hash of what each half lists.
 *
 *   half a   superblock.magic i32 @0 │ superblock.format i32 @4 │ … │ migrations │ (empty row)
 *   half b   the same of another version, or nothing yet
 */
import { assert } from '../base/assert.js';
import { Directory } from '../tables/columns.gen.js';
import type { Migration, Place } from './migrations.js';
import { DIRECTORY_ROWS } from './plan.js';
import { columnBytes, schemaHash, type ColumnType, type Scope, type Table } from './schema.js';

export interface ListedColumn extends Place {
  readonly offset: number;
  readonly initial: number; // known of one's own columns only
}

export interface ListedTable {
  readonly name: string;
  readonly scope: Scope;
  readonly rowBytes: number;
  readonly columns: readonly ListedColumn[];
}

/** A version's layout, and how it continues those before. */
export interface Listing {
  readonly hash: number;
  readonly tables: readonly ListedTable[];
  readonly migrations: readonly Migration[];
}

/** Bytes of one half. */
export const HALF_BYTES = DIRECTORY_ROWS * Directory.RowBytes;

export function listingOf(tables: readonly Table[], migrations: readonly Migration[]): Listing {
  const listed = tables.map(({ name, scope, rowBytes, columns }) => ({
    name,
    scope,
    rowBytes,
    columns: columns.map(({ name: column, ...rest }) => ({ column, ...rest })),
  }));
  return { hash: schemaHash(tables), tables: listed, migrations };
}

/** Writes one half. `half` is its bytes. */
export function writeListing(half: Uint8Array, listing: Listing): void {
  const rows = new Rows(half);
  half.fill(0);
  for (const { name, scope, rowBytes, columns } of listing.tables) {
    for (const column of columns) {
      const at = rows.next(name, column);
      rows.text(at + Directory.Scope, scope, 16);
      rows.word(at, Directory.Offset, column.offset);
      rows.word(at, Directory.Stride, rowBytes);
    }
  }
  for (const { table, was, is, factor, plus, oneWay } of listing.migrations) {
    const at = rows.next(table, is ?? { column: '', type: 'i32', count: 0 });
    rows.text(at + Directory.Was, was.column, 24);
    rows.text(at + Directory.WasType, was.type, 8);
    rows.word(at, Directory.WasCount, was.count);
    rows.double(at, Directory.Factor, factor);
    rows.double(at, Directory.Plus, plus);
    rows.word(at, Directory.OneWay, oneWay ? 1 : 0);
  }
}

/** Reads what one half lists; `hash` is what the superblock says of it. */
export function readListing(half: Uint8Array, hash: number): Listing {
  const rows = new Rows(half);
  const tables = new Map<string, { -readonly [K in keyof ListedTable]: ListedTable[K] }>();
  const migrations: Migration[] = [];
  for (let at = 0; at < half.length && half[at] !== 0; at += Directory.RowBytes) {
    const name = rows.textAt(at + Directory.Table, 24);
    const place = rows.placeAt(at, Directory.Column, Directory.Type, Directory.Count);
    if (half[at + Directory.Was] !== 0) {
      migrations.push(migrationAt(rows, at, name, place.column === '' ? null : place));
      continue;
    }
    const scope = rows.textAt(at + Directory.Scope, 16) as Scope;
    const rowBytes = rows.wordAt(at, Directory.Stride);
    const table = tables.get(name) ?? { name, scope, rowBytes, columns: [] };
    const offset = rows.wordAt(at, Directory.Offset);
    table.columns = [...table.columns, { ...place, offset, initial: 0 }];
    tables.set(name, table);
  }
  return { hash, tables: [...tables.values()], migrations };
}

function migrationAt(rows: Rows, at: number, table: string, is: Place | null): Migration {
  return {
    table,
    was: rows.placeAt(at, Directory.Was, Directory.WasType, Directory.WasCount),
    is,
    factor: rows.doubleAt(at, Directory.Factor),
    plus: rows.doubleAt(at, Directory.Plus),
    oneWay: rows.wordAt(at, Directory.OneWay) === 1,
  };
}

/** The half's bytes by type; `at` is where a row begins, columns are numbers of columns.gen.ts. */
class Rows {
  readonly #view: DataView;
  readonly #bytes: Buffer;
  #end = 0;

  constructor(half: Uint8Array) {
    this.#view = new DataView(half.buffer, half.byteOffset, half.length);
    this.#bytes = Buffer.from(half.buffer, half.byteOffset, half.length);
  }

  /** Begins a row behind the last one; an empty row must be left behind it. */
  next(table: string, { column, type, count }: Place): number {
    const at = this.#end;
    this.#end += Directory.RowBytes;
    assert(this.#end < this.#bytes.length, 'the directory has room for every column');
    this.text(at + Directory.Table, table, 24);
    this.text(at + Directory.Column, column, 24);
    this.text(at + Directory.Type, type, 8);
    this.word(at, Directory.Count, count);
    return at;
  }

  text(position: number, value: string, room: number): void {
    assert(value.length <= room, 'names fit the directory');
    this.#bytes.write(value, position, 'latin1');
  }

  textAt(position: number, room: number): string {
    return this.#bytes.toString('latin1', position, position + room).replace(/\0.*$/s, '');
  }

  word(at: number, column: Directory, value: number): void {
    this.#view.setInt32(at + column * 4, value, true);
  }

  wordAt(at: number, column: Directory): number {
    return this.#view.getInt32(at + column * 4, true);
  }

  double(at: number, column: Directory, value: number): void {
    this.#view.setFloat64(at + column * 8, value, true);
  }

  doubleAt(at: number, column: Directory): number {
    return this.#view.getFloat64(at + column * 8, true);
  }

  placeAt(at: number, name: Directory, type: Directory, count: Directory): Place {
    return {
      column: this.textAt(at + name, 24),
      type: this.textAt(at + type, 8) as ColumnType,
      count: this.wordAt(at, count),
    };
  }
}

/** First byte behind a column. */
export function endOf(column: ListedColumn): number {
  return column.offset + columnBytes(column);
}
