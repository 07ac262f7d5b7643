/** Layouts that differ from ours by what a test says, and a lane's rows in plain arrays. */
import { listingOf, type Listing } from '../../../src/shm/directory.js';
import { tables } from '../../../src/shm/layout.js';
import type { Migration } from '../../../src/shm/migrations.js';
import { planInstance, type InstancePlan } from '../../../src/shm/plan.js';
import { table, type ColumnSpec, type Table } from '../../../src/shm/schema.js';
import type { Views } from '../../../src/shm/segment.js';

export type Change = (columns: ColumnSpec[]) => ColumnSpec[];

/** The product's layout with some tables' columns changed. */
export function layoutWith(changes: { readonly [table: string]: Change },
  migrations: readonly Migration[] = []): Listing {
  return listingOf(tablesWith(changes), migrations);
}

export function tablesWith(changes: { readonly [table: string]: Change }): Table[] {
  return tables.map((each) => {
    const change = changes[each.name];
    if (change === undefined) return each;
    const specs = each.columns.map(({ name, type, doc, count, initial }): ColumnSpec =>
      [name, type, doc, count, initial]);
    return table(each.name, each.scope, each.rowBytes, each.doc, change(specs));
  });
}

export const same = layoutWith({});

export const add = (...spec: ColumnSpec): Change => (columns) => [...columns, spec];

export const addFirst = (...spec: ColumnSpec): Change => (columns) => [spec, ...columns];

export const addAfter = (place: string, ...spec: ColumnSpec): Change => (columns) =>
  columns.flatMap((each) => each[0] === place ? [each, spec] : [each]);

export const remove = (name: string): Change => (columns) =>
  columns.filter((each) => each[0] !== name);

export const replace = (name: string, ...spec: ColumnSpec): Change => (columns) =>
  columns.map((each) => each[0] === name ? spec : each);

/** opened_us f64 becomes opened_ms i32, as a session's migration. */
export const openedInMs: Migration = {
  table: 'session',
  was: { column: 'opened_us', type: 'f64', count: 1 },
  is: { column: 'opened_ms', type: 'i32', count: 1 },
  factor: 1 / 1000,
  plus: 0,
  oneWay: false,
};

/** A lane's extent, whose tables' rows are read and written by the names of a layout. */
export class FakeRows {
  readonly plan: InstancePlan;
  readonly views: Views;
  readonly #view: DataView;

  constructor() {
    this.plan = planInstance({
      lanes: 1, pools: 4, backends: 8, sessions: 16, links: 8, requests: 32, commands: 4,
      routeWords: 64, confBytes: 64, arenaBytes: 4096, poolBytesMax: 1 << 20,
    });
    const buffer = new ArrayBuffer(this.plan.region.arena);
    this.views = {
      words: new Int32Array(buffer), doubles: new Float64Array(buffer),
      bytes: new Uint8Array(buffer),
    };
    this.#view = new DataView(buffer);
  }

  get(layout: Listing, table: string, row: number, column: string, element = 0): number {
    const [type, at] = this.#find(layout, table, row, column, element);
    if (type === 'i32') return this.#view.getInt32(at, true);
    if (type === 'f64') return this.#view.getFloat64(at, true);
    return type === 'u8' ? this.#view.getUint8(at) : Number(this.#view.getBigUint64(at, true));
  }

  set(
    layout: Listing, table: string, row: number, column: string, value: number, element = 0,
  ): void {
    const [type, at] = this.#find(layout, table, row, column, element);
    if (type === 'i32') this.#view.setInt32(at, value, true);
    else if (type === 'f64') this.#view.setFloat64(at, value, true);
    else if (type === 'u8') this.#view.setUint8(at, value);
    else this.#view.setBigUint64(at, BigInt(value), true);
  }

  /** Every byte of a row. */
  row(table: string, row: number): Buffer {
    const number = tables.findIndex((each) => each.name === table);
    const { rowBytes } = tables[number]!;
    const at = this.plan.tableBase[number]! + row * rowBytes;
    return Buffer.from(this.views.bytes.slice(at, at + rowBytes));
  }

  #find(layout: Listing, table: string, row: number, column: string, element: number,
  ): [string, number] {
    const number = tables.findIndex((each) => each.name === table);
    const { rowBytes, columns } = layout.tables[number]!;
    const { type, offset } = columns.find((each) => each.column === column)!;
    const size = { i32: 4, f64: 8, u64: 8, u8: 1 }[type];
    return [type, this.plan.tableBase[number]! + row * rowBytes + offset + element * size];
  }
}
