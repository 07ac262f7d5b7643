/**
 * The types of directive values: how text becomes a value, how a value becomes text again, and how
 * to say what is allowed. Parsing and printing are inverse: parse(print(v)) equals v.
 *
 * Numbers are decimal digits and nothing else, as in twemproxy. Times take ms, s, m or h and sizes
 * take k, m or g (powers of 1024) directly behind the digits.
 */
import {
  LISTEN_FORM, parseListenAddress, parseServer, parseTcpAddress, printServer, SERVER_FORM, TCP_FORM,
  Wrong,
} from './addresses.js';
import { didYouMean } from './nearest.js';
import { quoted } from './remarks.js';
import type { ListenAddress, ServerSettings, TcpAddress } from './settings.js';

/** The largest number twemproxy reads (int), and the default upper bound here. */
export const INT_MAX = 2_147_483_647;

export interface ScalarType<T> {
  readonly kind: 'scalar';
  readonly unit: string;                 // of a bare number, or what the text is
  readonly range: string;                // the bounds, or the choices
  readonly mayBeEmpty?: boolean;         // "" is a value
  parse(text: string): T | Wrong;
  print(value: T): string;
}

export interface ListType<T> {
  readonly kind: 'list';
  readonly unit: string;
  readonly range: string;                // of one item
  parseItem(text: string, line: number): T | Wrong;
  printItem(item: T): string;
}

interface Range {
  readonly min: number;
  readonly max: number;
}

const TIME_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const SIZE_UNITS = { k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

export function count({ min, max }: Range): ScalarType<number> {
  return {
    kind: 'scalar',
    unit: 'number',
    range: `${min} to ${max}`,
    parse: (text) => parseScaled(text, 'a number', { '': 1 }, { min, max }),
    print: String,
  };
}

/** Milliseconds; `bare` is the unit of a number without one. */
export function time(bare: 'ms' | 's', { min, max }: Range): ScalarType<number> {
  const units = { '': TIME_UNITS[bare], ...TIME_UNITS };
  const word = bare === 'ms' ? 'milliseconds' : 'seconds';
  return {
    kind: 'scalar',
    unit: `${word}, or with ms, s, m, h`,
    range: `${printTime(min)} to ${printTime(max)}`,
    parse: (text) => parseScaled(text, 'a time', units, { min, max }),
    print: printTime,
  };
}

/** A time, or 0: what is timed never ends. */
export function timeOrNever(bare: 'ms' | 's', { min, max }: Range): ScalarType<number> {
  const some = time(bare, { min, max });
  const any = time(bare, { min: 0, max });
  return {
    ...some,
    range: `0, or ${some.range}`,
    parse: (text) => (any.parse(text) === 0 ? 0 : some.parse(text)),
  };
}

export function size({ min, max }: Range): ScalarType<number> {
  return {
    kind: 'scalar',
    unit: 'bytes, or with k, m, g',
    range: `${printSize(min)} to ${printSize(max)}`,
    parse: (text) => parseScaled(text, 'a size', { '': 1, ...SIZE_UNITS }, { min, max }),
    print: printSize,
  };
}

function parseScaled(
  text: string, noun: string, units: { [suffix: string]: number }, { min, max }: Range,
): number | Wrong {
  const match = /^(\d{1,15})([a-z]*)$/i.exec(text);
  const scale = match === null ? undefined : ownUnit(units, match[2].toLowerCase());
  if (match === null || scale === undefined) return new Wrong(`${quoted(text)} is not ${noun}`);
  const value = Number(match[1]) * scale;
  return value >= min && value <= max ? value : new Wrong(`${quoted(text)} is out of range`);
}

/** What a message says is allowed: the range, and the unit where numbers have one. */
export function allowedBy(type: ScalarType<unknown> | ListType<unknown>): string {
  return type.unit.includes(', or with ') ? `${type.range} (${type.unit})` : type.range;
}

function ownUnit(units: { [suffix: string]: number }, suffix: string): number | undefined {
  return Object.hasOwn(units, suffix) ? units[suffix] : undefined;
}

/** Always with its unit, so that it means the same whatever the bare unit is. */
export function printTime(ms: number): string {
  if (ms === 0) return '0';
  for (const suffix of ['h', 'm', 's'] as const) {
    const scale = TIME_UNITS[suffix];
    if (ms % scale === 0) return `${ms / scale}${suffix}`;
  }
  return `${ms}ms`;
}

export function printSize(bytes: number): string {
  for (const suffix of ['g', 'm', 'k'] as const) {
    const scale = SIZE_UNITS[suffix];
    if (bytes > 0 && bytes % scale === 0) return `${bytes / scale}${suffix}`;
  }
  return String(bytes);
}

export function choice<T extends string>(choices: readonly T[]): ScalarType<T> {
  return {
    kind: 'scalar',
    unit: 'name',
    range: choices.join(', '),
    parse: (text) => choices.find((each) => each === text)
      ?? new Wrong(`${quoted(text)} is not known${didYouMean(text, choices)}`),
    print: (value) => value,
  };
}

/** twemproxy's booleans: `yes`, `1` and `True` are mistakes there, and here. */
export const flag: ScalarType<boolean> = {
  kind: 'scalar',
  unit: 'boolean',
  range: 'true, false',
  parse: (text) => parseWord(text, [['true', true], ['false', false]]),
  print: String,
};

export const onOff: ScalarType<boolean> = {
  kind: 'scalar',
  unit: 'boolean',
  range: 'on, off, true, false',
  parse: (text) =>
    parseWord(text, [['on', true], ['off', false], ['true', true], ['false', false]]),
  print: (value) => (value ? 'on' : 'off'),
};

function parseWord(text: string, words: [string, boolean][]): boolean | Wrong {
  const found = words.find(([word]) => word === text);
  return found === undefined ? new Wrong(`${quoted(text)} is not a boolean`) : found[1];
}

/** Any text; "" is "not set". */
export function text(unit: string, range: string): ScalarType<string | null> {
  return {
    kind: 'scalar',
    unit,
    range,
    mayBeEmpty: true,
    parse: (written) => {
      if (written.includes('\0')) return new Wrong('has a zero byte');
      return written === '' ? null : written;
    },
    print: (value) => value ?? '',
  };
}

export const hashTag: ScalarType<string | null> = {
  kind: 'scalar',
  unit: 'characters',
  range: 'two characters, such as "{}"',
  mayBeEmpty: true,
  parse: (written) => {
    if (written === '') return null;
    if (/^[\x21-\x7e]{2}$/.test(written)) return written;
    return new Wrong(`${quoted(written)} is not two printable ASCII characters`);
  },
  print: (value) => value ?? '',
};

export const listenAddress: ScalarType<ListenAddress> = {
  kind: 'scalar',
  unit: 'address',
  range: LISTEN_FORM,
  parse: parseListenAddress,
  print: (address) => address.text,
};

export const tcpAddressOrOff: ScalarType<TcpAddress | null> = {
  kind: 'scalar',
  unit: 'address',
  range: `off, ${TCP_FORM}`,
  parse: (written) => (written === 'off' ? null : parseTcpAddress(written)),
  print: (address) => address?.text ?? 'off',
};

/** `auto`, or a number; 0 is meitu's "single process", which is one worker. */
export function workers(max: number): ScalarType<number | 'auto'> {
  const number = count({ min: 0, max });
  return {
    kind: 'scalar',
    unit: 'number',
    range: `auto, ${number.range}`,
    parse: (written) => {
      if (written === 'auto') return 'auto';
      const value = number.parse(written);
      return value instanceof Wrong ? value : Math.max(value, 1);
    },
    print: String,
  };
}

/** twemproxy ejects at the first failure for 0 as well as for 1. */
export const failureLimit: ScalarType<number> = {
  ...count({ min: 0, max: INT_MAX }),
  parse: (written) => {
    const value = count({ min: 0, max: INT_MAX }).parse(written);
    return value instanceof Wrong ? value : Math.max(value, 1);
  },
};

type Affinity = 'off' | 'auto' | number[][];
const CORE_MAX = 1023;

/** One list of cores per worker, with blanks between: `0 1 2-3 4,6`. */
export const coreLists: ScalarType<Affinity> = {
  kind: 'scalar',
  unit: 'core lists',
  range: `off, auto, or a list per worker such as 0 1 2-3 4,6 (cores 0 to ${CORE_MAX})`,
  parse: (written) => {
    if (written === 'off' || written === 'auto') return written;
    const lists: number[][] = [];
    for (const match of written.matchAll(/\S+/g)) {
      const cores = parseCores(match[0]);
      if (cores === null) {
        return new Wrong(`${quoted(match[0])} is not a list of cores`, match.index);
      }
      lists.push(cores);
    }
    return lists.length > 0 ? lists : new Wrong(`${quoted(written)} is not a list of cores`);
  },
  print: (value) => (typeof value === 'string' ? value : value.map((c) => c.join(',')).join(' ')),
};

function parseCores(list: string): number[] | null {
  const cores = new Set<number>();
  for (const part of list.split(',')) {
    const match = /^(\d{1,4})(?:-(\d{1,4}))?$/.exec(part);
    if (match === null) return null;
    const first = Number(match[1]);
    const last = match[2] === undefined ? first : Number(match[2]);
    if (first > last || last > CORE_MAX) return null;
    for (let core = first; core <= last; core++) cores.add(core);
  }
  return [...cores].sort((a, b) => a - b);
}

export const serverList: ListType<ServerSettings> = {
  kind: 'list',
  unit: 'list of addresses',
  range: SERVER_FORM,
  parseItem: parseServer,
  printItem: printServer,
};
