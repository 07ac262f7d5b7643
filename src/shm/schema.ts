/**
 * The vocabulary in which shared memory is defined: tables of rows, rows of typed columns.
 *
 * A table is an array of fixed-size rows; a row keeps the columns that are used together on the
 * same cache lines, so that touching a session costs two lines instead of one per column, and one
 * before-image of those lines is all that the turn's journal has to keep (docs/adr/0002).
 * The definition itself is layout.ts; generate.ts turns it into const enums and C++ structs.
 */
import { assert } from '../base/assert.js';

/** i32: a word TypeScript reads and writes; f64: a counter or a time, exact to 2^53; u64: C++ only. */
export type ColumnType = 'i32' | 'f64' | 'u64' | 'u8';

/** instance: one for all lanes, written by the master. lane: one per lane, written by its owner. */
export type Scope = 'instance' | 'lane';

export interface Column {
  readonly name: string; // snake_case, as C++ and the directory spell it
  readonly type: ColumnType;
  readonly count: number; // more than one: an array within the row
  readonly offset: number; // bytes from the start of the row
  readonly initial: number; // each element's value in rows that a version without it has written
  readonly doc: string;
}

export interface Table {
  readonly name: string;
  readonly scope: Scope;
  readonly rowBytes: number;
  readonly columns: readonly Column[];
  readonly doc: string;
}

/** `initial`: see Column; 0 in instance tables, which other versions write as well. */
export type ColumnSpec = readonly [
  name: string,
  type: ColumnType,
  doc: string,
  count?: number,
  initial?: number,
];

export const sizeOf: Readonly<Record<ColumnType, number>> = { i32: 4, f64: 8, u64: 8, u8: 1 };

export function columnBytes(column: Pick<Column, 'type' | 'count'>): number {
  return sizeOf[column.type] * column.count;
}

/** Lays the columns out in the order given, each at its natural alignment. */
export function table(
  name: string,
  scope: Scope,
  rowBytes: number,
  doc: string,
  specs: readonly ColumnSpec[],
): Table {
  const columns: Column[] = [];
  let offset = 0;
  for (const [columnName, type, columnDoc, count = 1, initial = 0] of specs) {
    assert(initial === 0 || scope === 'lane', 'columns of instance tables begin as 0');
    offset = alignUp(offset, sizeOf[type]);
    columns.push({ name: columnName, type, count, offset, initial, doc: columnDoc });
    offset += sizeOf[type] * count;
  }
  assert(offset <= rowBytes, 'the columns of a table fit its row');
  assert(rowBytes % 8 === 0, 'rows keep 8-byte alignment');
  return { name, scope, rowBytes, columns, doc };
}

/** The columns of a chain of nodes in its row (native/chain.h). */
export const chain = (prefix: string): readonly (readonly [string, 'i32', string])[] => [
  [`${prefix}_head`, 'i32', 'first node, 0 = empty'],
  [`${prefix}_tail`, 'i32', 'last node'],
  [`${prefix}_start`, 'i32', 'first unread byte in the head node'],
  [`${prefix}_end`, 'i32', 'bytes used in the tail node'],
  [`${prefix}_bytes`, 'i32', 'bytes in the chain'],
];

export function alignUp(value: number, to: number): number {
  return Math.ceil(value / to) * to;
}

/** FNV-1a over the canonical text of all tables: two builds with equal hashes agree on every byte. */
export function schemaHash(tables: readonly Table[]): number {
  const text = tables
    .map(
      (each) =>
        `${each.name}/${each.scope}/${each.rowBytes}:${each.columns.map(canonical).join(',')}`,
    )
    .join(';');
  return textHash(text);
}

/** FNV-1a, as a signed word. */
export function textHash(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ character.charCodeAt(0), 0x01000193);
  return hash | 0;
}

function canonical(column: Column): string {
  return `${column.name} ${column.type}[${column.count}]@${column.offset}`;
}
