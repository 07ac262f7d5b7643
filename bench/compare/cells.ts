/**
 * What is measured: one cell = one load on one data set.
 *
 *   get-p16-c50      GET, 16 requests in a pipeline, 50 clients, values of 3 bytes
 *   set-p1-c500      SET, no pipeline, 500 clients
 *   get-p64-c50-1k   the same with values of 1 KiB
 *   mget10-p16       MGET of 10 random keys over three servers, 50 clients
 *   connect          connect, GET, close, 50 at a time
 *   idle             memory and CPU of connections that do nothing, and memory after a load
 *
 * A name says everything about its cell, so any combination can be asked for by name.
 */
import { OptionError } from './options.js';

export const enum CellKind {
  Requests, // redis-benchmark with connections that stay
  Connect,  // redis-benchmark -k 0
  Idle,     // our own connections, see idle.ts
}

/** The servers behind a party, and what they hold. */
export interface DataSet {
  readonly name: string;
  readonly servers: number;
  readonly valueBytes: number;
}

export interface Cell {
  readonly name: string;
  readonly kind: CellKind;
  readonly title: string;
  readonly data: DataSet;
  readonly command: 'get' | 'set' | 'mget' | 'mset';
  /** Keys in one command. */
  readonly keys: number;
  readonly pipeline: number;
  readonly clients: number;
}

const SMALL: DataSet = { name: 'small', servers: 1, valueBytes: 3 };
const LARGE: DataSet = { name: 'large', servers: 1, valueBytes: 1024 };
const THREE: DataSet = { name: 'three', servers: 3, valueBytes: 3 };

const MULTI_KEYS = 10;
const LIMIT = 10_000; // of pipeline and clients; beyond it redis-benchmark itself gives up

export const DEFAULT_CELLS: readonly string[] = [
  ...['', '-1k'].flatMap((size) => ['p1-c50', 'p16-c50', 'p64-c50', 'p1-c500'].flatMap((shape) =>
    ['get', 'set'].map((command) => `${command}-${shape}${size}`))),
  'mget10-p1', 'mset10-p1', 'mget10-p16', 'mset10-p16',
  'connect', 'idle',
];

function inRange(text: string, name: string): number {
  const value = Number(text);
  if (value >= 1 && value <= LIMIT) return value;
  throw new OptionError(`cell ${name}: pipeline and clients must be from 1 to ${LIMIT}`);
}

function single(name: string, match: RegExpMatchArray): Cell {
  const command = match[1] as 'get' | 'set';
  const pipeline = inRange(match[2]!, name);
  const clients = inRange(match[3]!, name);
  const data = match[4] === undefined ? SMALL : LARGE;
  const size = data === SMALL ? '3 B' : '1 KiB';
  const title = `${command.toUpperCase()}  P=${pipeline}  ${clients} clients  ${size}`;
  return { name, kind: CellKind.Requests, title, data, command, keys: 1, pipeline, clients };
}

function multiple(name: string, match: RegExpMatchArray): Cell {
  const command = match[1] as 'mget' | 'mset';
  const pipeline = inRange(match[2]!, name);
  const name10 = `${command.toUpperCase()} of ${MULTI_KEYS}`;
  const title = `${name10} over 3 servers  P=${pipeline}  50 clients`;
  return {
    name, kind: CellKind.Requests, title, data: THREE, command, keys: MULTI_KEYS, pipeline,
    clients: 50,
  };
}

/** The cell of that name. Throws OptionError when the name means nothing. */
export function cellNamed(name: string): Cell {
  const one = /^(get|set)-p(\d+)-c(\d+)(-1k)?$/.exec(name);
  if (one !== null) return single(name, one);
  const many = /^(mget|mset)10-p(\d+)$/.exec(name);
  if (many !== null) return multiple(name, many);
  const shared = { name, data: SMALL, command: 'get', keys: 1, pipeline: 1, clients: 50 } as const;
  if (name === 'connect') {
    return { ...shared, kind: CellKind.Connect, title: 'connect + GET + close  50 at a time' };
  }
  if (name === 'idle') return { ...shared, kind: CellKind.Idle, title: 'idle connections' };
  throw new OptionError(`no cell is called ${name}; --list prints the names`);
}

function matching(pattern: string): string[] {
  if (!pattern.includes('*')) return [pattern];
  const text = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replace(/\*/g, '.*');
  const found = DEFAULT_CELLS.filter((name) => new RegExp(`^${text}$`).test(name));
  if (found.length === 0) throw new OptionError(`no cell matches ${pattern}`);
  return found;
}

/** The cells asked for, each once, in the order asked; all default cells for null. */
export function chooseCells(only: readonly string[] | null): Cell[] {
  const chosen = only === null ? DEFAULT_CELLS : only.flatMap(matching);
  return [...new Set(chosen)].map(cellNamed);
}
