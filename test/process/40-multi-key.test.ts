/**
 * Goal: commands with several keys work over several servers as over one, and those that cannot
 *   be split say so.
 * Method: the same commands go to one Redis and through Baton to three; replies are compared, and
 *   servers' own counts show how often each was asked.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { Redis } from '../support/redis.js';
import { errorText, plain, show, type Argument } from '../support/resp.js';
import { dice, type Dice } from '../support/seed.js';

const single = await Redis.start(t);
const servers = await Redis.startMany(t, 3);
const baton = await Baton.start(t, {
  servers, pool: { distribution: 'modula', hash: 'md5', hash_tag: '"{}"' },
  global: { worker_processes: 2 },
});

/** Some keys of each server, found by writing them. */
async function keysByServer(count: number): Promise<string[][]> {
  const client = await baton.client();
  const found: string[][] = servers.map(() => []);
  for (let i = 0; found.some((keys) => keys.length < count); i += 1) {
    const key = `spread${i}`;
    await client.call('SET', key, '1');
    for (const [index, server] of servers.entries()) {
      if (await server.call('EXISTS', key) === 1) found[index]!.push(key);
    }
    await client.call('DEL', key);
  }
  client.destroy();
  return found;
}

const spread = await keysByServer(4);
const [one, two, three] = spread as [string[], string[], string[]];

function randomCommand(game: Dice): Argument[] {
  const key = (): string => `m${game.below(40)}`;
  const keys = (): string[] => Array.from({ length: game.between(1, 25) }, key);
  switch (game.below(8)) {
    case 0: return ['MSET', ...keys().flatMap((name) => [name, `value ${game.bits()}`])];
    case 1: return ['DEL', ...keys()];
    case 2: return ['UNLINK', ...keys()];
    case 3: return ['EXISTS', ...keys()];
    case 4: return ['TOUCH', ...keys()];
    case 5: return ['HSET', `h${game.below(5)}`, 'field', '1'];
    default: return game.below(10) === 0
      ? ['MGET', ...keys(), `h${game.below(5)}`, ...keys()] : ['MGET', ...keys()];
  }
}

t.test('thousands of random split commands answer as one Redis does', async (t) => {
  const game = dice(t);
  const reference = await Client.open(t, single.port);
  const client = await baton.client();
  for (let round = 0; round < 40; round += 1) {
    const commands = Array.from({ length: 100 }, () => randomCommand(game));
    const wanted = await reference.pipeline(commands);
    const got = await client.pipeline(commands);
    for (const [i, reply] of got.entries()) {
      if (reply.raw.equals(wanted[i]!.raw)) continue;
      t.equal(show(reply.raw), show(wanted[i]!.raw), commands[i]!.join(' '));
      return;
    }
  }
  t.pass('4000 commands');
});

t.test('a thousand keys in one command', async (t) => {
  const client = await baton.client();
  const keys = Array.from({ length: 1000 }, (_, i) => `many${i}`);
  t.equal(await client.call('MSET', ...keys.flatMap((key) => [key, `of ${key}`])), 'OK');
  t.same(await client.call('MGET', ...keys), keys.map((key) => `of ${key}`));
  t.equal(await client.call('EXISTS', ...keys, ...keys), 2000);
  t.equal(await client.call('DEL', ...keys, ...keys), 1000);
  t.same(await client.call('MGET', ...keys), keys.map(() => null));
});

t.test('values of many sizes come back to their own places', async (t) => {
  const game = dice(t);
  const client = await baton.client();
  const keys = Array.from({ length: 60 }, (_, i) => `sized${i}`);
  const values = keys.map((_, i) => game.bytes(i % 7 === 0 ? 0 : game.between(1, i * 900)));
  await client.call('MSET', ...keys.flatMap((key, i) => [key, values[i]!]));
  const order = keys.map(() => game.below(keys.length));
  const got = await client.call('MGET', ...order.map((i) => keys[i]!));
  t.same(got, order.map((i) => values[i]!.toString('latin1')));
});

t.test('one request per server, whatever the number of keys', async (t) => {
  const client = await baton.client();
  const all = spread.flat();
  const commands: Argument[][] = [
    ['MSET', ...all.flatMap((key) => [key, 'x'])], ['MGET', ...all, ...all], ['EXISTS', ...all],
    ['TOUCH', ...all], ['UNLINK', ...all], ['DEL', ...all],
  ];
  await Promise.all(servers.map((server) => server.resetCalls()));
  for (const command of commands) {
    await client.command(...command);
    const name = String(command[0]).toLowerCase();
    const calls = await Promise.all(servers.map((server) => server.calls(name)));
    t.same(calls, [1, 1, 1], name);
  }
});

t.test('keys of one server: no other server is asked', async (t) => {
  const client = await baton.client();
  await Promise.all(servers.map((server) => server.resetCalls()));
  t.equal(await client.call('MSET', two[0]!, 'a', two[1]!, 'b'), 'OK');
  t.same(await client.call('MGET', two[1]!, two[0]!), ['b', 'a']);
  t.same(await Promise.all(servers.map((server) => server.calls('mget'))), [0, 1, 0]);
});

t.test('wrong numbers of arguments', async (t) => {
  const client = await baton.client();
  const reference = await Client.open(t, single.port);
  for (const command of [['MGET'], ['MSET'], ['MSET', 'a'], ['MSET', 'a', 'b', 'c'], ['DEL'],
    ['EXISTS'], ['TOUCH'], ['UNLINK']]) {
    const [got, wanted] = [await client.command(...command), await reference.command(...command)];
    t.equal(show(got.raw), show(wanted.raw), command.join(' '));
  }
});

const SCRIPT = 'redis.call("SET", KEYS[1], ARGV[1]) return redis.call("MGET", unpack(KEYS))';

/** Commands over two keys that no proxy can split. */
function together(a: string, b: string): Argument[][] {
  return [
    ['RENAME', a, b], ['RENAMENX', a, b], ['COPY', a, b], ['MSETNX', a, '1', b, '2'],
    ['SINTER', a, b], ['SINTERSTORE', a, b, a], ['SUNION', a, b], ['SDIFF', a, b],
    ['SMOVE', a, b, 'x'], ['SINTERCARD', 2, a, b], ['LMOVE', a, b, 'LEFT', 'RIGHT'],
    ['RPOPLPUSH', a, b], ['LMPOP', 2, a, b, 'LEFT'], ['ZMPOP', 2, a, b, 'MIN'],
    ['ZUNIONSTORE', a, 2, a, b], ['ZUNION', 2, a, b], ['ZINTERCARD', 2, a, b],
    ['ZRANGESTORE', a, b, 0, -1], ['PFMERGE', a, b], ['PFCOUNT', a, b],
    ['BITOP', 'AND', a, b, a], ['LCS', a, b], ['SORT', a, 'STORE', b],
    ['GEOSEARCHSTORE', a, b, 'FROMLONLAT', 0, 0, 'BYRADIUS', 1, 'km'],
    ['XREAD', 'COUNT', 1, 'STREAMS', a, b, '0', '0'],
    ['EVAL', SCRIPT, 2, a, b, 'arg'], ['EVALSHA', '0'.repeat(40), 2, a, b],
    ['FCALL', 'nosuch', 2, a, b],
  ];
}

t.test('commands that cannot be split: refused over two servers', async (t) => {
  const client = await baton.client();
  const before = await Promise.all(servers.map((server) => server.call('DBSIZE')));
  for (const command of together(one[0]!, three[0]!)) {
    const [reply, after] = await client.pipeline([command, ['ECHO', 'still here']]);
    t.match(errorText(reply!), /^CROSSSLOT /, String(command[0]));
    t.equal(plain(after!), 'still here');
  }
  t.same(await Promise.all(servers.map((server) => server.call('DBSIZE'))), before);
});

t.test('commands that cannot be split: carried when one server has all keys', async (t) => {
  const client = await baton.client();
  const reference = await Client.open(t, single.port);
  for (const [a, b] of [[one[0]!, one[1]!], ['{tag}a', '{tag}b']] as [string, string][]) {
    for (const command of together(a, b)) {
      for (const clean of [client, reference]) await clean.call('DEL', a, b);
      const [got, wanted] = [await client.command(...command), await reference.command(...command)];
      t.equal(show(got.raw), show(wanted.raw), `${command[0]} ${a} ${b}`);
    }
  }
});

t.test('a script by its keys, then by its digest', async (t) => {
  const client = await baton.client();
  await client.call('DEL', ...two);
  t.same(await client.call('EVAL', SCRIPT, 2, two[0]!, two[1]!, 'v'), ['v', null]);
  const echo = 'return {KEYS[1], ARGV[1]}';
  t.same(await client.call('EVAL', echo, 1, three[0]!, 'x'), [three[0], 'x']);
  const digest = String(await servers[1]!.call('SCRIPT', 'LOAD', SCRIPT));
  t.same(await client.call('EVALSHA', digest, 2, two[0]!, two[1]!, 'w'), ['w', null]);
  const [none, ping] = await client.pipeline([['EVAL', 'return 1', 0], ['PING']]);
  t.ok(plain(none!) === 1 || /^ERR /.test(errorText(none!)), 'no keys: an answer of some kind');
  t.equal(plain(ping!), 'PONG');
  const [bad, pong] = await client.pipeline([['EVAL', 'return 1', 'x', 'y'], ['PING']]);
  t.match(errorText(bad!), /^ERR value is not an integer/);
  t.equal(plain(pong!), 'PONG');
});
