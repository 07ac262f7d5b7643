/**
 * Which arguments of a command are keys: for routing and for COMMAND GETKEYS.
 *
 * The key specs of the table answer for nearly all commands. Where they cannot (`unknown`: SORT's
 * STORE may stand anywhere; MIGRATE's KEYS replace its first key; the access of SET and BITFIELD
 * depends on options), a rule in code stands in, as in Redis.
 */
import { Begin, Flag, type KeySpec } from './command.js';
import { commandId, commands, flagsOf } from './command-table.js';
import { integerOf, isWord } from './text.js';

/** One key argument and what the command does with it, in the words of COMMAND. */
export interface KeyUse {
  readonly index: number;
  readonly flags: readonly string[];
}

type Args = ArrayLike<Uint8Array>;
type KeyRule = (args: Args) => KeyUse[] | null;

/**
 * The indexes of the key arguments in the order of the specs, args[0] being the command's name.
 * Empty: the command has no keys, or may come without (EVAL … 0). null: the arguments are wrong
 * (numkeys out of range, no STREAMS …); keyFaultError tells what to answer. Arity is not checked
 * here, and a container's subcommand has to be resolved to its own row first.
 */
export function keysOf(id: number, args: Args): number[] | null {
  const uses = keyUsesOf(id, args);
  return uses === null ? null : uses.map((use) => use.index);
}

/** The same with what is done to each key. */
export function keyUsesOf(id: number, args: Args): KeyUse[] | null {
  if (!hasKeys(id)) return [];
  if (args.length < 2) return null;
  const rule = RULES.get(id);
  const uses = rule === undefined ? usesBySpecs(id, args) : rule(args);
  return uses !== null && uses.length === 0 && !mayLackKeys(id) ? null : uses;
}

function mayLackKeys(id: number): boolean {
  return (flagsOf[id] & Flag.NoMandatoryKeys) !== 0;
}

/** Whether a command ever has keys; channels are none, though SSUBSCRIBE's have specs. */
export function hasKeys(id: number): boolean {
  return commands[id].specs.some(isRealKey);
}

/** Whether an XREAD or XREADGROUP asks to wait. Any other command: false. */
export function isBlockingRead(id: number, args: Args): boolean {
  if (id !== XREAD && id !== XREADGROUP) return false;
  for (let i = 1; i < args.length; i += 1) {
    const word = args[i];
    if (isWord(word, 'block')) return true;
    if (isWord(word, 'streams')) return false;
    if (isWord(word, 'count')) i += 1;
    else if (isWord(word, 'group')) i += 2;
  }
  return false;
}

function isRealKey(spec: KeySpec): boolean {
  return !spec.flags.includes('not_key');
}

function usesBySpecs(id: number, args: Args): KeyUse[] | null {
  const uses: KeyUse[] = [];
  for (const spec of commands[id].specs) {
    if (!isRealKey(spec)) continue;
    const start = beginningOf(spec, args);
    if (start === NOT_THERE) continue;
    const found = spec.counted ? countedKeys(spec, start, args) : rangeKeys(spec, start, args);
    if (found === null || (found.length === 0 && !mayLackKeys(id))) return null;
    for (const index of found) uses.push({ index, flags: spec.flags });
  }
  return uses;
}

const NOT_THERE = 0;

/** Where a spec begins to count. The word itself is never the last argument: a key follows it. */
function beginningOf(spec: KeySpec, args: Args): number {
  if (spec.begin === Begin.Index) return spec.index;
  for (let i = spec.index; i < args.length - 1; i += 1) {
    if (isWord(args[i], spec.keyword)) return i + 1;
  }
  return NOT_THERE;
}

function rangeKeys(spec: KeySpec, first: number, args: Args): number[] | null {
  const argc = args.length;
  let last = first + spec.last;
  if (spec.last < 0) {
    last = spec.limit === 0
      ? argc + spec.last
      : first + Math.trunc((argc - first) / spec.limit) + spec.last;
  }
  if (first >= argc || last >= argc || last < first) return null;
  const found: number[] = [];
  for (let i = first; i <= last; i += spec.step) found.push(i);
  return found;
}

/** The number of keys stands at `start`, the keys behind it. */
function countedKeys(spec: KeySpec, start: number, args: Args): number[] | null {
  if (start >= args.length) return null;
  const count = integerOf(args[start]);
  if (count === null || count < 0 || count > args.length - start - 1) return null;
  return Array.from({ length: count }, (_, n) => start + 1 + n * spec.step);
}

const READ = ['RO', 'access'];
const WRITE = ['OW', 'update'];
const CHANGE = ['RW', 'access', 'update'];
const MOVE_AWAY = ['RW', 'access', 'delete'];

/** SORT key … [STORE destination]: the last STORE counts; BY, GET and LIMIT have operands. */
function sortKeys(args: Args): KeyUse[] {
  let destination = 0;
  for (let i = 2; i < args.length; i += 1) {
    if (isWord(args[i], 'limit')) i += 2;
    else if (isWord(args[i], 'get') || isWord(args[i], 'by')) i += 1;
    else if (isWord(args[i], 'store') && i + 1 < args.length) destination = i += 1;
  }
  const source = { index: 1, flags: READ };
  return destination === 0 ? [source] : [source, { index: destination, flags: WRITE }];
}

/** Keys named by BY and GET patterns are nobody's: only the server that sorts can look them up. */
function sortReadKeys(): KeyUse[] {
  return [{ index: 1, flags: READ }];
}

/** MIGRATE host port key|"" db timeout [COPY] [REPLACE] [AUTH p] [AUTH2 u p] [KEYS key …]. */
function migrateKeys(args: Args): KeyUse[] | null {
  if (args.length < 4) return null;
  const uses: KeyUse[] = [];
  for (let i = 6; i < args.length; i += 1) {
    if (isWord(args[i], 'auth')) i += 1;
    else if (isWord(args[i], 'auth2')) i += 2;
    else if (isWord(args[i], 'keys') && args[3].length === 0) {
      for (let k = i + 1; k < args.length; k += 1) uses.push({ index: k, flags: MOVE_AWAY });
      return uses;
    }
  }
  return [{ index: 3, flags: MOVE_AWAY }];
}

/** SET key value …: with GET the old value is read, too. */
function setKeys(args: Args): KeyUse[] {
  for (let i = 3; i < args.length; i += 1) {
    if (isWord(args[i], 'get')) return [{ index: 1, flags: CHANGE }];
  }
  return [{ index: 1, flags: WRITE }];
}

/** BITFIELD key …: only reads as long as there is nothing but GETs. */
function bitfieldKeys(args: Args): KeyUse[] {
  for (let i = 2; i < args.length; i += 1) {
    const isGet = isWord(args[i], 'get') && i + 2 < args.length;
    const isOverflow = isWord(args[i], 'overflow') && i + 1 < args.length;
    if (isGet) i += 2;
    else if (isOverflow) i += 1;
    else return [{ index: 1, flags: CHANGE }];
  }
  return [{ index: 1, flags: READ }];
}

const RULES: ReadonlyMap<number, KeyRule> = new Map<number, KeyRule>([
  [commandId('bitfield'), bitfieldKeys],
  [commandId('migrate'), migrateKeys],
  [commandId('set'), setKeys],
  [commandId('sort'), sortKeys],
  [commandId('sort_ro'), sortReadKeys],
]);

const XREAD = commandId('xread');
const XREADGROUP = commandId('xreadgroup');
