/**
 * COMMAND and its subcommands: the command table, told to clients. Shapes are those of Redis 7;
 * the table is this proxy's, so that a command it refuses is still described.
 */
import { ACL_CATEGORIES, Begin, FLAG_NAMES, Flag, type Command, type KeySpec } from
  '../protocol/command.js';
import {
  NO_COMMAND, commandCount, commandId, commands, flagsOf, isArityOf, resolveCommand,
} from '../protocol/command-table.js';
import {
  GETKEYS_BAD_ARGS, GETKEYS_BAD_ARITY, GETKEYS_NO_KEYS, GETKEYS_UNKNOWN, SYNTAX_ERROR,
} from '../protocol/errors.js';
import { hasKeys, keyUsesOf, type KeyUse } from '../protocol/keys.js';
import { ReplyWriter, latin1Of, type Protocol } from '../protocol/reply.js';
import { isGlobMatch, isWord } from '../protocol/text.js';
import {
  answerError, writerFor, type LocalAnswer, type LocalHandler, type LocalRequest,
} from './local-answer.js';

const topLevel = commands.slice(0, commandCount);

/** The whole table is about 100 KB of reply; it is made once per protocol. */
const wholeTable: Record<Protocol, Buffer | null> = { 2: null, 3: null };

function onCommand({ session: { protocol } }: LocalRequest): LocalAnswer {
  const reply = wholeTable[protocol] ??= describeAll(topLevel, protocol);
  return { reply };
}

function describeAll(wanted: readonly (Command | null)[], protocol: Protocol): Buffer {
  const writer = new ReplyWriter(protocol).array(wanted.length);
  for (const command of wanted) {
    if (command === null) writer.null();
    else describe(writer, command);
  }
  return writer.finish();
}

function onCount(request: LocalRequest): LocalAnswer {
  return { reply: writerFor(request).integer(commandCount).finish() };
}

/** COMMAND INFO [name …]: null for a name that is no command. */
function onInfo(request: LocalRequest): LocalAnswer {
  const { args, session } = request;
  if (args.length === 2) return onCommand(request);
  return { reply: describeAll(args.slice(2).map(commandNamed), session.protocol) };
}

/** COMMAND DOCS [name …]: names that are no command are left out. */
function onDocs(request: LocalRequest): LocalAnswer {
  const { args } = request;
  const wanted = args.length === 2 ? topLevel : args.slice(2).map(commandNamed);
  const known = wanted.filter((command) => command !== null);
  const writer = writerFor(request).map(known.length);
  for (const command of known) document(writer, command);
  return { reply: writer.finish() };
}

/** Finds 'get' and 'client|id'. */
function commandNamed(name: Buffer): Command | null {
  const id = commandId(latin1Of(name));
  return id === NO_COMMAND ? null : commands[id];
}

/** COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob] */
function onList(request: LocalRequest): LocalAnswer {
  const { args } = request;
  if (args.length !== 2 && (args.length !== 5 || !isWord(args[2], 'filterby'))) {
    return answerError(SYNTAX_ERROR);
  }
  const isWanted = args.length === 2 ? () => true : filterOf(args[3], latin1Of(args[4]));
  if (isWanted === null) return answerError(SYNTAX_ERROR);
  const names = commands.filter(isWanted).map((command) => command.name);
  return { reply: writerFor(request).bulks(names).finish() };
}

function filterOf(kind: Uint8Array, wanted: string): ((command: Command) => boolean) | null {
  if (isWord(kind, 'module')) return () => false;
  if (isWord(kind, 'aclcat')) {
    const category = ACL_CATEGORIES.find((name) => name === wanted.toLowerCase());
    return (command) => category !== undefined && command.acl.includes(category);
  }
  if (isWord(kind, 'pattern')) return (command) => isGlobMatch(wanted, command.name, true);
  return null;
}

function onGetKeys(request: LocalRequest): LocalAnswer {
  const uses = keysAsked(request);
  if (typeof uses === 'string') return answerError(uses);
  const keys = uses.map((use) => request.args[use.index + 2]);
  return { reply: writerFor(request).bulks(keys).finish() };
}

function onGetKeysAndFlags(request: LocalRequest): LocalAnswer {
  const uses = keysAsked(request);
  if (typeof uses === 'string') return answerError(uses);
  const writer = writerFor(request).array(uses.length);
  for (const { index, flags } of uses) {
    writer.array(2).bulk(request.args[index + 2]);
    statuses(writer, flags);
  }
  return { reply: writer.finish() };
}

/** The keys of the command that follows COMMAND GETKEYS, or the text of an error. */
function keysAsked({ args }: LocalRequest): KeyUse[] | string {
  const asked = args.slice(2);
  const id = resolveCommand(asked);
  if (id === NO_COMMAND) return GETKEYS_UNKNOWN;
  if (!hasKeys(id)) return GETKEYS_NO_KEYS;
  if (!isArityOf(id, asked.length)) return GETKEYS_BAD_ARITY;
  const uses = keyUsesOf(id, asked) ?? [];
  return uses.length > 0 || flagsOf[id] & Flag.NoMandatoryKeys ? uses : GETKEYS_BAD_ARGS;
}

/** The ten elements of COMMAND INFO. */
function describe(writer: ReplyWriter, command: Command): void {
  writer.array(10).bulk(command.name).integer(command.arity);
  statuses(writer, FLAG_NAMES.filter((_, bit) => command.flags & (1 << bit)));
  writer.integer(command.firstKey).integer(command.lastKey).integer(command.keyStep);
  statuses(writer, command.acl.map((category) => `@${category}`));
  writer.set(command.tips.length);
  for (const tip of command.tips) writer.bulk(tip);
  writer.set(command.specs.length);
  for (const spec of command.specs) describeSpec(writer, spec);
  if (command.subcommands.length === 0) writer.set(0);  // Redis says it so, if of another type
  else writer.array(command.subcommands.length);
  for (const subcommand of command.subcommands) describe(writer, subcommand);
}

function statuses(writer: ReplyWriter, words: readonly string[]): void {
  writer.set(words.length);
  for (const word of words) writer.simple(word);
}

function describeSpec(writer: ReplyWriter, spec: KeySpec): void {
  writer.map(3).bulk('flags');
  statuses(writer, spec.flags);
  writer.bulk('begin_search');
  switch (spec.begin) {
    case Begin.Index: typeAndSpec(writer, 'index', [['index', spec.index]]); break;
    case Begin.Keyword:
      typeAndSpec(writer, 'keyword', [['keyword', spec.keyword], ['startfrom', spec.index]]);
      break;
    case Begin.Unknown: typeAndSpec(writer, 'unknown', []); break;
    default: spec.begin satisfies never;
  }
  writer.bulk('find_keys');
  if (spec.begin === Begin.Unknown) {
    typeAndSpec(writer, 'unknown', []);
  } else if (spec.counted) {
    typeAndSpec(writer, 'keynum', [['keynumidx', 0], ['firstkey', 1], ['keystep', spec.step]]);
  } else {
    typeAndSpec(writer, 'range', [
      ['lastkey', spec.last], ['keystep', spec.step], ['limit', spec.limit],
    ]);
  }
}

type SpecField = readonly [name: string, value: string | number];

function typeAndSpec(writer: ReplyWriter, type: string, fields: readonly SpecField[]): void {
  writer.map(2).bulk('type').bulk(type).bulk('spec').map(fields.length);
  for (const [name, value] of fields) {
    writer.bulk(name);
    if (typeof value === 'number') writer.integer(value);
    else writer.bulk(value);
  }
}

/** A name and its documentation, as a pair of a map. */
function document(writer: ReplyWriter, command: Command): void {
  const { subcommands } = command;
  writer.bulk(command.name).map(subcommands.length > 0 ? 4 : 3)
    .bulk('summary').bulk(command.summary)
    .bulk('since').bulk(command.since)
    .bulk('group').bulk(command.group);
  if (subcommands.length === 0) return;
  writer.bulk('subcommands').map(subcommands.length);
  for (const subcommand of subcommands) document(writer, subcommand);
}

export const commandHandlers: ReadonlyMap<number, LocalHandler> = new Map<number, LocalHandler>([
  [commandId('command'), onCommand],
  [commandId('command|count'), onCount],
  [commandId('command|docs'), onDocs],
  [commandId('command|getkeys'), onGetKeys],
  [commandId('command|getkeysandflags'), onGetKeysAndFlags],
  [commandId('command|info'), onInfo],
  [commandId('command|list'), onList],
]);
