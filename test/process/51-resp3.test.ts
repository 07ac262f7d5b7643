/**
 * Goal: a session that said HELLO 3 gets RESP3 as its server writes it, and Baton's own answers
 *   and merges in that form; sessions in RESP2 beside it notice nothing.
 * Method: every RESP3 type that a Redis can be made to send is compared raw with a direct session;
 *   fakes send the types that this Redis never sends.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { FakeBackend } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { errorText, plain, show, type Argument } from '../support/resp.js';

const direct = await Redis.start(t);
const redis = await Redis.start(t);
const baton = await Baton.start(t, { servers: [redis] });

const SETUP: Argument[][] = [
  ['HSET', 'h', 'a', '1', 'b', '2'], ['SADD', 's', 'm1'], ['ZADD', 'z', '1.5', 'a', '2', 'b'],
  ['SET', 'str', 'text'], ['RPUSH', 'l', 'x', 'y'], ['GEOADD', 'g', '13.36', '38.11', 'p'],
  ['XADD', 'x', '1-1', 'f', 'v'],
];

const TYPED: Argument[][] = [
  ['HGETALL', 'h'], ['HGETALL', 'none'], ['SMEMBERS', 's'], ['SMEMBERS', 'none'],
  ['ZSCORE', 'z', 'a'], ['ZSCORE', 'z', 'none'], ['ZRANGE', 'z', 0, -1, 'WITHSCORES'],
  ['ZINCRBY', 'z', '0.5', 'b'], ['ZPOPMIN', 'z', 2], ['GET', 'none'], ['GET', 'str'],
  ['LRANGE', 'l', 0, -1], ['HRANDFIELD', 'h', 0], ['GEOPOS', 'g', 'p', 'none'],
  ['GEODIST', 'g', 'p', 'p'], ['XRANGE', 'x', '-', '+'], ['XREAD', 'STREAMS', 'x', '0'],
  ['XREAD', 'STREAMS', 'none', '0'], ['LPOP', 'none', 3], ['SMISMEMBER', 's', 'm1', 'm2'],
  ['CONFIG', 'GET', 'no-such'], ['OBJECT', 'ENCODING', 'none'], ['SET', 'str', 'x', 'GET'],
  ['INCR', 'str'], ['EVAL', 'redis.setresp(3) return redis.call("HGETALL", KEYS[1])', 1, 'h'],
  ['EVAL', 'return {double=3.5}', 1, 'h'], ['EVAL', 'return {map={a=1}}', 1, 'h'],
  ['EVAL', 'return {set={a=true}}', 1, 'h'], ['EVAL', 'redis.setresp(3) return true', 1, 'h'],
  ['EVAL', 'redis.setresp(3) return false', 1, 'h'],
  ['EVAL', 'return {big_number="1234567999999999999999999"}', 1, 'h'],
  ['EVAL', 'return {verbatim_string={format="txt", string="some\\r\\ntext"}}', 1, 'h'],
  ['EVAL', 'return redis.error_reply("MINE is special")', 1, 'h'], ['PING'], ['ECHO', 'x'],
  ['CLIENT', 'GETNAME'], ['MGET', 'str', 'none', 'h'], ['DEL', 'none'], ['COMMAND', 'INFO', 'get'],
  ['COMMAND', 'GETKEYS', 'GET', 'k'], ['NOSUCH'], ['COMMAND', 'DOCS', 'nosuch'],
];

for (const protocol of [3, 2]) {
  t.test(`types from the server, in RESP${protocol}`, async (t) => {
    const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
    for (const client of [ours, theirs]) {
      t.equal((await client.command('HELLO', protocol)).type, protocol === 3 ? '%' : '*');
    }
    for (const server of [redis, direct]) {
      await server.flush();
      for (const command of SETUP) await server.call(...command);
    }
    for (const command of TYPED) {
      const [got, wanted] = [await ours.command(...command), await theirs.command(...command)];
      t.equal(show(got.raw), show(wanted.raw), command.join(' '));
    }
  });
}

t.test('HELLO tells what a client needs to know', async (t) => {
  const client = await baton.client();
  const fields = (flat: unknown): Map<string, unknown> => {
    const list = flat as unknown[];
    return new Map(list.flatMap((key, i) => i % 2 === 0 ? [[String(key), list[i + 1]]] : []));
  };
  for (const protocol of [2, 3]) {
    const hello = fields(await client.call('HELLO', protocol, 'SETNAME', `named${protocol}`));
    t.equal(hello.get('proto'), protocol);
    t.type(hello.get('id'), 'number');
    t.equal(hello.get('server'), 'redis');
    t.equal(hello.get('mode'), 'standalone');
    t.equal(hello.get('role'), 'master');
    t.same(hello.get('modules'), []);
    t.equal(await client.call('CLIENT', 'GETNAME'), `named${protocol}`);
  }
  t.equal(fields(await client.call('HELLO')).get('proto'), 3, 'without a number: no change');
  await client.call('RESET');
  t.equal(show((await client.command('GET', 'none')).raw), show(Buffer.from('$-1\r\n')));
});

t.test('both protocols side by side, changing in mid-pipeline', async (t) => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => baton.client()));
  await redis.call('HSET', 'side', 'f', 'v');
  await Promise.all(clients.map(async (client, i) => {
    for (let round = 0; round < 50; round += 1) {
      const first = (round + i) % 2 === 0 ? 3 : 2;
      const replies = await client.pipeline([
        ['HELLO', first], ['HGETALL', 'side'], ['GET', 'none'], ['MGET', 'none'],
        ['HELLO', 5 - first], ['HGETALL', 'side'], ['GET', 'none'], ['ECHO', round],
      ]);
      const types = replies.map((reply) => reply.type).join('');
      const raw = replies.map((reply) => show(reply.raw));
      const wanted = first === 3 ? '%%_**' : '**$*%';
      if (types.slice(0, 5) === wanted && plain(replies[7]!) === String(round)) continue;
      t.fail(`client ${i}, round ${round}: ${raw.join(' ')}`);
      return;
    }
    t.pass(`client ${i}`);
  }));
});

/** Types that a Redis sends rarely or never: they must be framed, and come out as they are. */
const RARE = [
  '_\r\n', '#t\r\n', '#f\r\n', ',3.25\r\n', ',inf\r\n', ',-inf\r\n', ',nan\r\n', ',1e300\r\n',
  '(3492890328409238509324850943850943825024385\r\n', '!21\r\nSYNTAX invalid syntax\r\n',
  '=15\r\ntxt:Some string\r\n', '%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n$1\r\nc\r\n*2\r\n_\r\n,1\r\n',
  '~3\r\n:1\r\n$2\r\n\r\n\r\n#f\r\n', '*0\r\n', '%0\r\n', '~0\r\n', '$0\r\n\r\n',
  '*-1\r\n', '$-1\r\n',
  '*2\r\n*2\r\n*2\r\n*1\r\n~1\r\n%1\r\n+k\r\n(12\r\n:1\r\n:2\r\n$3\r\na\r\n\r\n',
  `*3\r\n$5000\r\n${'x'.repeat(5000)}\r\n%1\r\n+k\r\n=9000\r\n${'y'.repeat(9000)}\r\n#t\r\n`,
];

t.test('every type there is, whole and in pieces', async (t) => {
  let reply = '';
  let isDribbled = false;
  const fake = await FakeBackend.start(t, async (request) => {
    if (!isDribbled) return request.reply(reply);
    for (let at = 0; at < reply.length; at += 1) {
      request.reply(reply.slice(at, at + 1));
      if (at % 8 === 0 && at < 2000) await new Promise(setImmediate);
    }
  });
  const front = await Baton.start(t, { servers: [fake] });
  const client = await front.client();
  await client.command('HELLO', 3);
  for (const dribble of [false, true]) {
    isDribbled = dribble;
    for (const bytes of RARE) {
      reply = bytes;
      const [got, echo] = await client.pipeline([['GET', 'k'], ['ECHO', 'next']]);
      t.equal(show(got!.raw), show(Buffer.from(bytes)), dribble ? 'in pieces' : 'whole');
      t.ok(got!.raw.equals(Buffer.from(bytes)));
      t.equal(plain(echo!), 'next');
    }
  }
});

t.test('a server without RESP3: an error that says so, RESP2 goes on', async (t) => {
  const old = await Redis.start(t, ['--rename-command', 'HELLO', 'NOHELLO']);
  const front = await Baton.start(t, { servers: [old] });
  const [three, two] = [await front.client(), await front.client()];
  t.equal(await two.call('SET', 'k', 'v'), 'OK');
  t.equal((await three.command('HELLO', 3)).type, '%');
  t.match(errorText(await three.command('GET', 'k')), /^[A-Z]+ /);
  t.equal(await three.call('PING'), 'PONG');
  t.equal(await two.call('GET', 'k'), 'v');
});
