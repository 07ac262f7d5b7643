/**
 * Reads the key specs of the table (form: command.ts) and derives from them what Redis calls the
 * legacy range: first key, last key, step, and whether that range tells the whole truth.
 */
import { fail } from '../base/assert.js';
import { Begin, type KeySpec } from './command.js';

/** First, last and step of the keys at fixed positions; all 0 when there are none. */
export interface KeyRange {
  readonly firstKey: number;
  readonly lastKey: number;
  readonly keyStep: number;
  readonly isMovable: boolean;  // some keys lie outside the range
}

/** Parses the specs of one row, separated by semicolons. */
export function parseKeySpecs(text: string): KeySpec[] {
  return text.split(';').map((part) => parseKeySpec(part.trim()));
}

function parseKeySpec(text: string): KeySpec {
  const words = text.split(' ');
  const flags: string[] = [];
  const spec = { begin: Begin.Unknown, index: 0, keyword: '', counted: false, last: 0, step: 1,
    limit: 0 };
  for (let i = 0; i < words.length; i += 1) {
    const word = words[i];
    switch (word) {
      case 'at': spec.begin = Begin.Index; spec.index = numberAt(words, i += 1); break;
      case 'after':
        spec.begin = Begin.Keyword;
        spec.keyword = words[i + 1];
        spec.index = numberAt(words, i += 2);
        break;
      case 'counted': spec.counted = true; break;
      case 'to': spec.last = numberAt(words, i += 1); break;
      case 'step': spec.step = numberAt(words, i += 1); break;
      case 'limit': spec.limit = numberAt(words, i += 1); break;
      case 'unknown': spec.begin = Begin.Unknown; break;
      default: flags.push(word);
    }
  }
  return { flags, ...spec };
}

function numberAt(words: readonly string[], index: number): number {
  const value = Number(words[index]);
  return Number.isInteger(value) ? value : fail('key specs of the command table are well formed');
}

/**
 * The one range that covers as many specs as possible. Specs that stand side by side (RENAME: 1
 * and 2; BITOP: 2 and 3 to -1) become one range; every other makes the keys movable.
 */
export function keyRangeOf(specs: readonly KeySpec[]): KeyRange {
  const only = specs.length === 1 ? specs[0] : undefined;
  if (only !== undefined && isRange(only)) {
    return { firstKey: only.index, lastKey: lastOf(only), keyStep: only.step, isMovable: false };
  }
  let first = 0;
  let last = 0;
  let isMovable = false;
  for (const spec of specs) {
    const follows = last === 0 || last === spec.index - 1;
    if (!isRange(spec) || spec.step !== 1 || !follows) {
      isMovable = true;
      continue;
    }
    if (first === 0) first = spec.index;
    last = lastOf(spec);
  }
  return { firstKey: first, lastKey: last, keyStep: first === 0 ? 0 : 1, isMovable };
}

function isRange(spec: KeySpec): boolean {
  return spec.begin === Begin.Index && !spec.counted;
}

function lastOf(spec: KeySpec): number {
  return spec.last < 0 ? spec.last : spec.index + spec.last;
}
