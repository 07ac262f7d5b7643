/**
 * May a program use memory that another version laid out? A pure comparison of two listings.
 *
 *   table                                   a new column   elsewhere   retyped, removed
 *   session, session_info, link, request    its default    moved       by a registered migration
 *   other tables that last                  its default    refused     refused
 *   receipt                                 refused        refused     refused
 *   descriptor (one turn's)                 -- not compared, but for the length of its rows --
 *
 * Rows of the first kind are only used by the lane's owner, who transcodes them (bring-lane.ts);
 * a few of their columns are read by whoever claims the lane, and are as fixed as the rest. Other
 * tables are read and written by several versions at a time. The tables themselves and the lengths
 * of their rows never differ: both are in every offset behind them.
 */
import { endOf, type ListedColumn, type ListedTable, type Listing } from './directory.js';
import { back, forward, type Place } from './migrations.js';

/** Towards a newer version, which may do without nothing that it finds, or back. */
export type Direction = 'forward' | 'back';

/** Where a column's value comes from, in a row of the other layout. */
export interface Source {
  readonly column: ListedColumn;
  readonly from: ListedColumn | null; // null: every element is `convert(0)`
  readonly convert: ((value: number) => number) | null; // null: the same bytes
}

export interface Verdict {
  readonly change: 'same' | 'extended' | 'migrated' | 'refused';
  readonly line: string; // why it is refused, else ''
  readonly columns: readonly string[]; // what differs, for the log: 'session.rx: u64, now f64'
  readonly direction: Direction;
  readonly noWayBack: string; // why a roll back is not possible, '' when it is
}

const TRANSCODED = new Set(['session', 'session_info', 'link', 'request']);
const EQUAL = new Set(['receipt']);
const TURN_LOCAL = new Set(['descriptor']);
/** A claimant reads these before it brings the rows, to fetch the sockets (native/takeover.cc). */
const FIXED = new Set([
  'session.state', 'session.fd', 'session.cookie', 'link.state', 'link.fd', 'link.cookie',
]);

/**
 * The running layout against that of a program that wants to attach to it. `wasHere`: that program
 * has used this memory before; it may be the older of the two, whose way the newer one has paved.
 */
export function compare(running: Listing, mine: Listing, wasHere = false): Verdict {
  if (running.hash === mine.hash) return verdict('same', 'forward');
  const refusal = refusalOf(running, mine, 'forward');
  if (refusal !== null) {
    const isBack = wasHere && refusalOf(running, mine, 'back') === null;
    return isBack ? verdict(degree(running, mine, 'back'), 'back') : refused(refusal);
  }
  const columns = mine.tables.flatMap((table) =>
    changesOf(tableOf(running, table.name)!, table, mine));
  const noWayBack = refusalOf(mine, running, 'back') ?? '';
  return { ...verdict(degree(running, mine, 'forward'), 'forward'), columns, noWayBack };
}

export function refused(reason: string): Verdict {
  const line = `shared memory: ${reason}: a full restart is needed`;
  return { ...verdict('refused', 'forward'), line };
}

function verdict(change: Verdict['change'], direction: Direction): Verdict {
  return { change, line: '', columns: [], direction, noWayBack: '' };
}

function degree(from: Listing, to: Listing, direction: Direction): 'extended' | 'migrated' {
  const isMigrated = [...TRANSCODED].some((name) =>
    isRewritten(tableOf(from, name)!, sourcesOf(from, to, name, direction)));
  return isMigrated ? 'migrated' : 'extended';
}

/** Whether a value changes, or its place is taken, that the other version still needs. */
export function isRewritten(from: ListedTable, sources: readonly Source[]): boolean {
  return sources.some(({ column, from: was, convert }) => was === null
    ? from.columns.some((each) => each.offset < endOf(column) && column.offset < endOf(each))
    : convert !== null || was.offset !== column.offset);
}

/**
 * Where each column of a table gets its value when its rows go from one layout to the other.
 * Throws with the reason when there is no way.
 */
export function sourcesOf(
  from: Listing, to: Listing, name: string, direction: Direction,
): Source[] {
  const there = tableOf(from, name)!;
  const ways = [...waysInto(to), ...waysBack(from)].filter(({ table }) => table === name);
  return tableOf(to, name)!.columns.map((column) => sourceOf(there, column, ways, direction));
}

/** One migration, in the direction in which it is needed. */
interface Way {
  readonly table: string;
  readonly source: Place | null;
  readonly target: Place | null;
  readonly isOpen: boolean;
  readonly convert: (value: number) => number;
}

function waysInto({ migrations }: Listing): Way[] {
  return migrations.map((each) => ({
    table: each.table, source: each.was, target: each.is, isOpen: true,
    convert: (value) => forward(each, value),
  }));
}

function waysBack({ migrations }: Listing): Way[] {
  return migrations.map((each) => ({
    table: each.table, source: each.is, target: each.was, isOpen: !each.oneWay,
    convert: (value) => back(each, value),
  }));
}

function sourceOf(
  there: ListedTable, column: ListedColumn, ways: readonly Way[], direction: Direction,
): Source {
  const same = there.columns.find((each) => isSame(each, column));
  if (same !== undefined) return { column, from: same, convert: null };
  for (const { source, target, isOpen, convert } of ways) {
    if (target === null || !isSame(target, column)) continue;
    const from = there.columns.find((each) => source !== null && isSame(each, source)) ?? null;
    if (source !== null && from === null) continue;
    if (!isOpen) throw new Error(`there is no way back for column ${there.name}.${column.column}`);
    return { column, from, convert };
  }
  const retyped = columnOf(there, column);
  if (retyped !== undefined) throw new Error(retypedLine(there.name, retyped, column));
  if (direction === 'back') throw new Error(goneLine(there.name, column));
  return { column, from: null, convert: () => column.initial };
}

function retypedLine(table: string, was: Place, is: Place): string {
  return `column ${table}.${is.column} was ${typeOf(was)}, is ${typeOf(is)} here, `
    + 'and no migration is registered';
}

function goneLine(table: string, was: Place): string {
  return `column ${table}.${was.column} (${typeOf(was)}) is gone here, `
    + 'and no migration is registered';
}

/** Why rows of one layout cannot become rows of the other, null when they can. */
function refusalOf(from: Listing, to: Listing, direction: Direction): string | null {
  for (const { name } of from.tables) {
    if (tableOf(to, name) === undefined) return `table ${name} is gone here`;
  }
  for (const table of to.tables) {
    const there = tableOf(from, table.name);
    if (there === undefined) return `table ${table.name} is new here`;
    const refusal = tableRefusal(there, table, direction)
      ?? transcodingRefusal(from, to, table.name, direction);
    if (refusal !== null) return refusal;
  }
  return null;
}

/** What no migration can mend. */
function tableRefusal(there: ListedTable, here: ListedTable, direction: Direction): string | null {
  const { name } = here;
  if (there.rowBytes !== here.rowBytes) {
    return `rows of ${name} had ${there.rowBytes} bytes, have ${here.rowBytes} here`;
  }
  if (TURN_LOCAL.has(name)) return null;
  const [before, now] = direction === 'forward' ? [there, here] : [here, there];
  const isFixed = (column: Place): boolean =>
    !TRANSCODED.has(name) || FIXED.has(`${name}.${column.column}`);
  const added = now.columns.find((each) => EQUAL.has(name) && columnOf(before, each) === undefined);
  if (added !== undefined) {
    return `column ${name}.${added.column} is new here, columns of ${name} must not change`;
  }
  for (const was of before.columns.filter(isFixed)) {
    const is = columnOf(now, was);
    const place = `column ${name}.${was.column}`;
    if (is === undefined) return `${place} (${typeOf(was)}) is gone here, and must not go`;
    if (typeOf(is) !== typeOf(was)) {
      return `${place} was ${typeOf(was)}, is ${typeOf(is)} here, and must not change`;
    }
    if (is.offset !== was.offset) {
      return `${place} was at byte ${was.offset}, is at ${is.offset} here, and must not move`;
    }
  }
  return null;
}

/** What a migration could mend, and none does. */
function transcodingRefusal(
  from: Listing, to: Listing, name: string, direction: Direction,
): string | null {
  if (!TRANSCODED.has(name)) return null;
  let sources: Source[];
  try {
    sources = sourcesOf(from, to, name, direction);
  } catch (error) {
    return (error as Error).message;
  }
  if (direction === 'back') return null; // what the newer one has added is forgotten
  const used = new Set(sources.map((source) => source.from));
  const isRemoved = (column: ListedColumn): boolean => to.migrations.some((each) =>
    each.table === name && each.is === null && isSame(each.was, column));
  const lost = tableOf(from, name)!.columns.find((each) => !used.has(each) && !isRemoved(each));
  return lost === undefined ? null : goneLine(name, lost);
}

/** What the log says of a table that both versions can use. */
function changesOf(there: ListedTable, here: ListedTable, mine: Listing): string[] {
  if (TURN_LOCAL.has(here.name)) return [];
  const changes: string[] = [];
  for (const column of here.columns) {
    const was = columnOf(there, column);
    const migration = mine.migrations.find(({ table, is }) =>
      table === here.name && is !== null && isSame(is, column));
    const place = `${here.name}.${column.column}`;
    if (was !== undefined && isSame(was, column)) {
      if (was.offset !== column.offset) changes.push(`${place}: moved`);
    } else if (migration !== undefined) {
      const { was: old } = migration;
      changes.push(`${place}: ${typeOf(column)}, was ${old.column} ${typeOf(old)}`);
    } else {
      changes.push(`${place}: added`);
    }
  }
  const removed = mine.migrations.filter(({ table, is, was }) => table === here.name
    && is === null && there.columns.some((each) => isSame(each, was)));
  return [...changes, ...removed.map(({ was }) => `${here.name}.${was.column}: removed`)];
}

export function tableOf(listing: Listing, name: string): ListedTable | undefined {
  return listing.tables.find((each) => each.name === name);
}

function columnOf(table: ListedTable, column: Place): ListedColumn | undefined {
  return table.columns.find((each) => each.column === column.column);
}

function isSame(one: Place, other: Place): boolean {
  return one.column === other.column && typeOf(one) === typeOf(other);
}

/** As layout.ts would say it: u64, u8[24]. */
function typeOf({ type, count }: Place): string {
  return count === 1 ? type : `${type}[${count}]`;
}
