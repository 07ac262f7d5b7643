/**
 * Goal: the command table says what Redis says, and decides every command.
 * Method: every row that a real redis-server has is compared with its own COMMAND reply; the
 * decisions are walked for gaps.
 */
import t from 'tap';
import { FLAG_NAMES, Flag, MergeKind, Plan, Refusal } from '../../../src/protocol/command.js';
import {
  NO_COMMAND, arityOf, commandCount, commandId, commandIdAt, commandIdOf, commands, firstKeyOf,
  flagsOf, isArityOf, keyStepOf, lastKeyOf, mergeOf, needsArgs, planOf, refusalOf, resolveCommand,
  rowCount, subcommandIdOf,
} from '../../../src/protocol/command-table.js';
import { refusalError } from '../../../src/protocol/errors.js';
import { decodeReply } from './decode-reply.js';
import { RedisServer, argsOf } from './redis-server.js';

/** One element of the reply to COMMAND; the last but one are key specs, then subcommands. */
type Facts = [
  string, number, string[], number, number, number, string[], string[], unknown, Facts[],
];

/** What Redis 7.2 has and the server of Debian 12 (7.0) has not. */
const NEWER_THAN_7_0 = ['client|no-touch', 'client|setinfo', 'cluster|myshardid', 'waitaof'];

void t.test('every fact of a real server', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const connection = await server.connect();
  const reply = decodeReply(await connection.ask('COMMAND')) as Facts[];
  connection.close();

  const real = reply.flatMap((facts) => [facts, ...facts[9]]);
  for (const facts of real) {
    const command = commands[commandId(facts[0])];
    t.ok(command, `${facts[0]} is in the table`);
    t.same(
      [command.name, command.arity, namesOf(command.flags), command.firstKey, command.lastKey,
        command.keyStep, command.acl.map((category) => `@${category}`), command.tips],
      facts.slice(0, 8),
      facts[0],
    );
  }
  const names = new Set(real.map(([name]) => name));
  const ours = commands.map((command) => command.name).filter((name) => !names.has(name));
  t.same(ours.filter((name) => !NEWER_THAN_7_0.includes(name)), [], 'nothing is invented');
});

void t.test('ids are alphabetical, commands before subcommands', async (t) => {
  t.equal(commands.length, rowCount);
  t.ok(commandCount > 200 && rowCount > commandCount + 100);
  commands.forEach((command, id) => {
    t.equal(command.id, id);
    t.equal(command.name.includes('|'), id >= commandCount);
    if (id > 0 && id !== commandCount) t.ok(commands[id - 1].name < command.name);
  });
  for (const name of NEWER_THAN_7_0) t.not(commandId(name), NO_COMMAND, name);
});

void t.test('columns repeat the rows', async (t) => {
  for (const command of commands) {
    const { id } = command;
    t.same(
      [planOf[id], mergeOf[id], refusalOf[id], flagsOf[id], arityOf[id], firstKeyOf[id],
        lastKeyOf[id], keyStepOf[id]],
      [command.plan, command.merge, command.refusal, command.flags, command.arity,
        command.firstKey, command.lastKey, command.keyStep],
      command.name,
    );
  }
});

void t.test('every command is decided, and decided only once', async (t) => {
  const texts = new Set<string>();
  for (const { id, name, plan, merge, refusal, specs, subcommands } of commands) {
    t.equal(merge !== MergeKind.None, plan === Plan.Split, `${name}: split means merge`);
    t.equal(refusal !== Refusal.None, plan === Plan.Refused, `${name}: refused for a reason`);
    t.ok(plan !== Plan.Container || subcommands.length > 0, `${name}: containers contain`);
    if (plan === Plan.Plain || plan === Plan.Keys || plan === Plan.Split) {
      t.ok(specs.length > 0, `${name}: who is routed has keys`);
    }
    t.equal(needsArgs[id] === 0, plan === Plan.Plain && firstKeyOf[id] === 1, `${name}: needsArgs`);
    if (plan !== Plan.Refused) continue;
    const text = refusalError(id);
    const isCluster = refusal === Refusal.Cluster;
    t.match(text, isCluster ? /cluster support disabled/ : name.replace('|', ' '));
    texts.add(text);
  }
  t.ok(texts.size > 50, 'refusals speak of their command');
});

void t.test('what DESIGN forbids on a shared link is not forwarded', async (t) => {
  const never = `blpop brpop blmove blmpop bzpopmin bzpopmax bzmpop brpoplpush wait waitaof select
    auth multi exec discard watch unwatch subscribe psubscribe ssubscribe unsubscribe monitor
    client|reply client|tracking readonly asking reset quit shutdown replicaof slaveof sync psync
    debug config|set flushall flushdb keys scan dbsize randomkey publish script|load migrate`;
  for (const name of never.split(/\s+/)) {
    const id = commandId(name);
    t.ok(planOf[id] === Plan.Local || planOf[id] === Plan.Refused, name);
  }
  for (const { id, name, flags } of commands) {
    if (!(flags & (Flag.Blocking | Flag.Admin | Flag.PubSub))) continue;
    const isOptional = name === 'xread' || name === 'xreadgroup';
    t.equal(planOf[id] === Plan.Local || planOf[id] === Plan.Refused, !isOptional, name);
  }
});

void t.test('the six that are split', async (t) => {
  const split = commands.filter((command) => command.plan === Plan.Split);
  t.same(split.map(({ name, merge, keyStep }) => [name, merge, keyStep]), [
    ['del', MergeKind.Sum, 1], ['exists', MergeKind.Sum, 1], ['mget', MergeKind.Interleave, 1],
    ['mset', MergeKind.AllOk, 2], ['touch', MergeKind.Sum, 1], ['unlink', MergeKind.Sum, 1],
  ]);
});

void t.test('names are found in any case, in bytes, and never by accident', async (t) => {
  for (const { id, name } of commands) {
    t.equal(commandId(name), id);
    t.equal(commandId(name.toUpperCase()), id);
    const [first, second] = name.split('|');
    const framed = Buffer.from(`..${first.toUpperCase()}..`);
    const parent = second === undefined ? id : commandId(first);
    t.equal(commandIdAt(framed, 2, first.length), parent);
    if (second === undefined) continue;
    t.equal(subcommandIdOf(parent, Buffer.from(second.toUpperCase())), id);
  }
  for (const name of ['', 'ge', 'gett', 'client|id', 'nosuch', 'x'.repeat(100), 'g\u0000t']) {
    t.equal(commandIdOf(Buffer.from(name)), NO_COMMAND, name);
  }
  t.equal(commandIdOf(Buffer.from('@ET')), NO_COMMAND, 'only letters have two cases');
  t.equal(subcommandIdOf(commandId('client'), Buffer.from('')), NO_COMMAND);
});

void t.test('a whole command resolves to the row that decides it', async (t) => {
  t.equal(resolveCommand(argsOf('GET k')), commandId('get'));
  t.equal(resolveCommand(argsOf('client ID')), commandId('client|id'));
  t.equal(resolveCommand(argsOf('CLIENT')), commandId('client'));
  t.equal(resolveCommand(argsOf('CLIENT nosuch')), NO_COMMAND);
  t.equal(resolveCommand(argsOf('nosuch')), NO_COMMAND);
});

void t.test('arity: exact, or at least', async (t) => {
  const get = commandId('get');
  const mget = commandId('mget');
  t.same([1, 2, 3].map((argc) => isArityOf(get, argc)), [false, true, false]);
  t.same([1, 2, 3].map((argc) => isArityOf(mget, argc)), [false, true, true]);
});

function namesOf(flags: number): string[] {
  return FLAG_NAMES.filter((_, bit) => flags & (1 << bit));
}
