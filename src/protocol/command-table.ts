/**
 * Every command of Redis 7.2, by number.
 *
 *   id   0 … commandCount-1          commands, alphabetical
 *        commandCount … rowCount-1   subcommands ('client|id'), alphabetical
 *
 * An id is an index into `commands` and into the columns (planOf, arityOf, …), which are what the
 * request path reads: one load each, no objects. Ids mean something only within one version of
 * the table; what must outlive a process is the name.
 */
import { assert, fail } from '../base/assert.js';
import { bitmapCommands } from './commands/bitmaps.js';
import { clusterCommands } from './commands/cluster.js';
import { connectionCommands } from './commands/connection.js';
import { geoCommands } from './commands/geo.js';
import { hashCommands } from './commands/hashes.js';
import { hyperloglogCommands } from './commands/hyperloglogs.js';
import { keyspaceCommands } from './commands/keyspace.js';
import { listCommands } from './commands/lists.js';
import { pubsubCommands } from './commands/pubsub.js';
import { scriptingCommands } from './commands/scripting.js';
import { serverCommands } from './commands/server.js';
import { serverToolCommands } from './commands/server-tools.js';
import { setCommands } from './commands/sets.js';
import { sortedSetCommands } from './commands/sorted-sets.js';
import { streamCommands } from './commands/streams.js';
import { stringCommands } from './commands/strings.js';
import { transactionCommands } from './commands/transactions.js';
import { ACL_CATEGORIES, FLAG_NAMES, Flag, MergeKind, Plan, Refusal } from './command.js';
import type { Command, CommandGroup, CommandRow } from './command.js';
import { keyRangeOf, parseKeySpecs } from './key-spec.js';
import { NameIndex } from './name-index.js';
import { isWord } from './text.js';

/** No such command. */
export const NO_COMMAND = -1;

const FAMILIES: readonly (readonly [CommandGroup, readonly CommandRow[]])[] = [
  ['bitmap', bitmapCommands],
  ['cluster', clusterCommands],
  ['connection', connectionCommands],
  ['generic', keyspaceCommands],
  ['geo', geoCommands],
  ['hash', hashCommands],
  ['hyperloglog', hyperloglogCommands],
  ['list', listCommands],
  ['pubsub', pubsubCommands],
  ['scripting', scriptingCommands],
  ['server', serverCommands],
  ['server', serverToolCommands],
  ['set', setCommands],
  ['sorted-set', sortedSetCommands],
  ['stream', streamCommands],
  ['string', stringCommands],
  ['transactions', transactionCommands],
];

/** The ACL category that a family's commands belong to; server and cluster have none. */
const CATEGORY_OF_GROUP: Readonly<Record<CommandGroup, string>> = {
  bitmap: 'bitmap', cluster: '', connection: 'connection', generic: 'keyspace', geo: 'geo',
  hash: 'hash', hyperloglog: 'hyperloglog', list: 'list', pubsub: 'pubsub',
  scripting: 'scripting', server: '', set: 'set', 'sorted-set': 'sortedset', stream: 'stream',
  string: 'string', transactions: 'transaction',
};

/** The whole table; the index of a row is its id. */
export const commands: readonly Command[] = buildTable();

/** How many rows are commands; the rows from here to rowCount are subcommands. */
export const commandCount = commands.findIndex((command) => command.parent !== null);
export const rowCount = commands.length;

export const planOf = columnOf((command) => command.plan);
export const mergeOf = columnOf((command) => command.merge);
export const refusalOf = columnOf((command) => command.refusal);
export const flagsOf = columnOf((command) => command.flags);
export const arityOf = columnOf((command) => command.arity);
export const firstKeyOf = columnOf((command) => command.firstKey);
export const lastKeyOf = columnOf((command) => command.lastKey);
export const keyStepOf = columnOf((command) => command.keyStep);
/** 1 when a request cannot be decided without its arguments; 0: one key, at argv[1]. */
export const needsArgs = columnOf((command) => (isOneKeyFirst(command) ? 0 : 1));

const idOfName = new Map(commands.map((command) => [command.name, command.id]));
const topLevel = new NameIndex(namesFrom(0, commandCount));

/** The id of a command ('get') or subcommand ('client|id'), in any case, or NO_COMMAND. */
export function commandId(name: string): number {
  return idOfName.get(name) ?? idOfName.get(name.toLowerCase()) ?? NO_COMMAND;
}

/**
 * The id of the command that bytes[start … start + length - 1] name, in any case, or NO_COMMAND.
 * Allocates nothing. Subcommands are not found: 'client|id' is no word a client may send.
 */
export function commandIdAt(bytes: Uint8Array, start: number, length: number): number {
  return topLevel.find(bytes, start, length);
}

/** The same for a whole argument. */
export function commandIdOf(name: Uint8Array): number {
  return topLevel.find(name, 0, name.length);
}

/** The row of a container's subcommand, in any case, or NO_COMMAND. */
export function subcommandIdOf(containerId: number, name: Uint8Array): number {
  for (const { id, name: fullName } of commands[containerId].subcommands) {
    const start = fullName.indexOf('|') + 1;
    if (isWord(name, fullName.slice(start))) return id;
  }
  return NO_COMMAND;
}

/**
 * The row that decides a whole command: its own, or, of a container, its subcommand's; NO_COMMAND
 * when there is no such command or subcommand. A container without a subcommand is its own row.
 */
export function resolveCommand(args: ArrayLike<Uint8Array>): number {
  const id = commandIdOf(args[0]);
  if (id === NO_COMMAND || args.length < 2 || commands[id].subcommands.length === 0) return id;
  return subcommandIdOf(id, args[1]);
}

/** Whether `argc` words, the name included, are a number that the command accepts. */
export function isArityOf(id: number, argc: number): boolean {
  const arity = arityOf[id];
  return arity < 0 ? argc >= -arity : argc === arity;
}

function namesFrom(start: number, end: number): string[] {
  return commands.slice(start, end).map((command) => command.name);
}

function isOneKeyFirst(command: Command): boolean {
  return command.plan === Plan.Plain && command.firstKey === 1;
}

function columnOf(valueOf: (command: Command) => number): Int32Array {
  return Int32Array.from(commands, valueOf);
}

type Draft = { -readonly [Field in keyof Command]: Command[Field] } & { subcommands: Command[] };

function buildTable(): Command[] {
  const drafts = FAMILIES.flatMap(([group, rows]) => rows.map((row) => draftOf(row, group)));
  drafts.sort(byLevelThenName);
  const byName = new Map(drafts.map((draft) => [draft.name, draft]));
  assert(byName.size === drafts.length, 'no command stands twice in the table');
  drafts.forEach((draft, id) => {
    draft.id = id;
    const cut = draft.name.indexOf('|');
    if (cut < 0) return;
    const parent = byName.get(draft.name.slice(0, cut)) ?? fail('a subcommand has a container');
    draft.parent = parent;
    parent.subcommands.push(draft);
  });
  return drafts;
}

function byLevelThenName(a: Draft, b: Draft): number {
  const level = Number(a.name.includes('|')) - Number(b.name.includes('|'));
  if (level !== 0) return level;
  return a.name < b.name ? -1 : 1;
}

function draftOf(row: CommandRow, group: CommandGroup): Draft {
  const specs = row.keys === undefined ? [] : parseKeySpecs(row.keys);
  const { isMovable, ...range } = keyRangeOf(specs);
  const flags = bitsOf(row.flags) | (isMovable ? Flag.MovableKeys : 0);
  return {
    id: NO_COMMAND,
    name: row.name,
    group,
    arity: row.arity,
    flags,
    plan: row.plan,
    merge: row.merge ?? MergeKind.None,
    refusal: row.refusal ?? Refusal.None,
    specs,
    ...range,
    acl: row.acl === undefined ? categoriesOf(flags, categoryOf(row, group)) : row.acl.split(' '),
    tips: row.tips === undefined ? [] : row.tips.split(' '),
    since: row.since,
    summary: row.summary,
    subcommands: [],
    parent: null,
  };
}

/** The category of its family; a container does nothing by itself and belongs to none. */
function categoryOf(row: CommandRow, group: CommandGroup): string {
  return row.plan === Plan.Container ? '' : CATEGORY_OF_GROUP[group];
}

function bitsOf(names: string): number {
  let bits = 0;
  for (const name of names.split(' ')) {
    if (name === '') continue;
    const bit = FLAG_NAMES.indexOf(name);
    assert(bit >= 0, 'flags of the command table are known');
    bits |= 1 << bit;
  }
  return bits;
}

/** The ACL categories that follow from what a command is, as Redis derives them. */
function categoriesOf(flags: number, category: string): string[] {
  const names = new Set([category]);
  if (flags & Flag.Write) names.add('write');
  if (flags & Flag.Readonly && category !== 'scripting') names.add('read');
  if (flags & Flag.Admin) names.add('admin').add('dangerous');
  if (flags & Flag.PubSub) names.add('pubsub');
  if (flags & Flag.Blocking) names.add('blocking');
  names.add(flags & Flag.Fast ? 'fast' : 'slow');
  return ACL_CATEGORIES.filter((category) => names.has(category));
}
