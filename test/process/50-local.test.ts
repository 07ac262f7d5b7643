/**
 * Goal: what Baton answers itself looks to clients as if a Redis had answered.
 * Method: the same commands go to a Redis and to Baton; where answers must differ (ids, times,
 *   names of the server) their form is compared. Passwords and databases are checked at the server.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { Redis } from '../support/redis.js';
import { encode, errorText, plain, show, type Argument } from '../support/resp.js';
import { waitFor } from '../support/wait-for.js';

const direct = await Redis.start(t);
const redis = await Redis.start(t);
const baton = await Baton.start(t, { servers: [redis], global: { worker_processes: 2 } });

/** Compared byte by byte with a Redis, each line on the connection of the one before. */
const SAME: Argument[][] = [
  ['PING'], ['ping', 'hello'], ['PING', ''], ['PING', 'a', 'b'], ['ECHO', 'x'], ['ECHO'],
  ['ECHO', Buffer.from([0, 13, 10, 255])], ['SELECT', 0], ['SELECT', 'x'], ['SELECT', -1],
  ['SELECT', '99999999999'], ['AUTH', 'secret'], ['AUTH', 'nobody', 'secret'], ['AUTH'],
  ['AUTH', 'a', 'b', 'c'], ['HELLO', 4], ['HELLO', 'x'], ['HELLO', 2, 'NONSENSE'],
  ['HELLO', 3, 'AUTH', 'default'], ['CLIENT', 'GETNAME'], ['CLIENT', 'SETNAME', 'worker-7'],
  ['CLIENT', 'GETNAME'], ['CLIENT', 'SETNAME', 'two words'], ['CLIENT', 'GETNAME'],
  ['CLIENT', 'SETNAME', ''], ['CLIENT', 'GETNAME'], ['CLIENT', 'NO-EVICT', 'on'],
  ['CLIENT', 'NO-EVICT', 'off'], ['CLIENT', 'NO-EVICT', 'maybe'], ['CLIENT'],
  ['CLIENT', 'NOSUCH'], ['CLIENT', 'SETNAME'], ['CONFIG', 'GET', 'no-such-directive'],
  ['CONFIG', 'GET'], ['COMMAND', 'GETKEYS', 'GET', 'k'],
  ['COMMAND', 'GETKEYS', 'MSET', 'a', 1, 'b', 2],
  ['COMMAND', 'GETKEYS', 'EVAL', 'x', 2, 'a', 'b', 'c'], ['COMMAND', 'GETKEYS', 'PING'],
  ['COMMAND', 'GETKEYS', 'NOSUCH', 'x'], ['COMMAND', 'INFO', 'nosuch'], ['COMMAND', 'INFO', 'get'],
  ['COMMAND', 'INFO', 'mget', 'nosuch', 'incr'], ['RESET'], ['CLIENT', 'GETNAME'], ['PING'],
];

t.test('answers that equal those of a Redis', async (t) => {
  const [ours, theirs] = [await baton.client(), await Client.open(t, direct.port)];
  for (const command of SAME) {
    const [got, wanted] = [await ours.command(...command), await theirs.command(...command)];
    t.equal(show(got.raw), show(wanted.raw), command.join(' '));
  }
});

t.test('TIME is the time', async (t) => {
  const client = await baton.client();
  const [seconds, micros] = await client.call('TIME') as [string, string];
  const now = Date.now() / 1000;
  t.ok(Math.abs(Number(seconds) + Number(micros) / 1e6 - now) < 2, `${seconds}.${micros}, ${now}`);
});

t.test('SELECT of another database than the pool\'s is refused', async (t) => {
  const client = await baton.client();
  t.match(errorText(await client.command('SELECT', 1)), /^ERR /);
  t.equal(await client.call('SELECT', 0), 'OK');
});

t.test('CLIENT ID, LIST and INFO know the clients of all lanes', async (t) => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => baton.client()));
  const ids = await Promise.all(clients.map((client) => client.call('CLIENT', 'ID')));
  t.equal(new Set(ids).size, 8, 'ids differ');
  for (const [i, client] of clients.entries()) await client.call('CLIENT', 'SETNAME', `c${i}`);
  const list = String(await clients[0]!.call('CLIENT', 'LIST'));
  for (const [i, id] of ids.entries()) {
    const address = `127.0.0.1:${clients[i]!.localPort}`;
    t.match(list, new RegExp(`^id=${id} addr=${address} .*name=c${i} `, 'm'));
  }
  const own = String(await clients[3]!.call('CLIENT', 'INFO'));
  t.match(own, new RegExp(`^id=${ids[3]} .*name=c3 `));
  t.equal(await clients[0]!.call('CLIENT', 'SETINFO', 'LIB-NAME', 'a-library'), 'OK');
  t.equal(await clients[0]!.call('CLIENT', 'SETINFO', 'LIB-VER', '1.2.3'), 'OK');
  t.match(String(await clients[0]!.call('CLIENT', 'INFO')), /lib-name=a-library lib-ver=1\.2\.3/);
});

t.test('COMMAND in all its forms', async (t) => {
  const client = await baton.client();
  const count = Number(await client.call('COMMAND', 'COUNT'));
  t.ok(count > 200, `${count} commands`);
  t.equal((await client.call('COMMAND') as unknown[]).length, count);
  t.ok((await client.call('COMMAND', 'DOCS') as unknown[]).length >= 400);
  t.equal((await client.call('COMMAND', 'DOCS', 'get') as unknown[])[0], 'get');
  t.ok((await client.call('COMMAND', 'LIST') as string[]).includes('xreadgroup'));
});

t.test('INFO and CONFIG GET as tools ask for them', async (t) => {
  const client = await baton.client();
  const info = String(await client.call('INFO'));
  for (const field of ['redis_version', 'uptime_in_seconds', 'connected_clients', 'process_id']) {
    t.match(info, new RegExp(`^${field}:\\S+\\r$`, 'm'), field);
  }
  t.match(info, /^# Server\r$/m);
  const server = String(await client.call('INFO', 'server'));
  t.match(server, /redis_version/);
  t.notMatch(server, /connected_clients/, 'one section only');
  for (const name of ['save', 'appendonly']) {
    const answer = await client.call('CONFIG', 'GET', name) as string[];
    t.equal(answer[0], name, `redis-benchmark asks for ${name}`);
  }
});

t.test('QUIT: OK, then the end, and nothing behind it is done', async (t) => {
  const client = await baton.client();
  client.push(Buffer.concat([encode(['SET', 'q', 1]), encode(['QUIT']), encode(['SET', 'q', 2])]));
  t.same((await client.replies(2)).map(plain), ['OK', 'OK']);
  await client.closed();
  t.same(client.waiting, []);
  t.equal(await redis.call('GET', 'q'), '1');
});

t.test('a password: clients must know it, servers are told it', async (t) => {
  const locked = await Redis.start(t, ['--requirepass', '0123']);
  const front = await Baton.start(t, {
    servers: [locked], pool: { redis_auth: '0123', redis_db: 3 },
  });
  const client = await front.client();
  for (const command of [['GET', 'k'], ['PING'], ['MGET', 'a', 'b'], ['ECHO', 'x'],
    ['CLIENT', 'ID'], ['HELLO', 3]]) {
    t.match(errorText(await client.command(...command)), /^NOAUTH /, command.join(' '));
  }
  t.match(errorText(await client.command('AUTH', '123')), /^WRONGPASS /);
  t.match(errorText(await client.command('AUTH', 'nobody', '0123')), /^WRONGPASS /);
  t.match(errorText(await client.command('GET', 'k')), /^NOAUTH /);
  t.equal(await client.call('AUTH', '0123'), 'OK');
  t.same((await client.pipeline([['SET', 'k', 'v'], ['GET', 'k'], ['SELECT', 3]])).map(plain),
    ['OK', 'v', 'OK']);
  t.equal(await client.call('RESET'), 'RESET');
  t.match(errorText(await client.command('GET', 'k')), /^NOAUTH /, 'RESET forgets who it is');
  t.equal(await client.call('AUTH', 'default', '0123'), 'OK');
  t.equal(await client.call('GET', 'k'), 'v');
  const hello = await front.client();
  t.match(errorText(await hello.command('HELLO', 3, 'AUTH', 'default', 'bad')), /^WRONGPASS /);
  t.equal((await hello.command('HELLO', 3, 'AUTH', 'default', '0123')).type, '%');
  t.equal(await hello.call('GET', 'k'), 'v');
  await locked.call('SELECT', 3);
  t.equal(await locked.call('GET', 'k'), 'v', 'it lies in the pool\'s database');
});

t.test('a password the servers do not take: errors, and a log line', async (t) => {
  const locked = await Redis.start(t, ['--requirepass', 'right']);
  const front = await Baton.start(t, { servers: [locked], pool: { redis_auth: 'wrong' } });
  const client = await front.client();
  t.equal(await client.call('AUTH', 'wrong'), 'OK');
  t.match(errorText(await client.command('GET', 'k')), /^[A-Z]+ /);
  t.match(await front.logged(/WRONGPASS|password|AUTH/i), String(locked.port));
  t.equal(await client.call('PING'), 'PONG');
});

t.test('pipelined before AUTH: refused and admitted in order', async (t) => {
  const locked = await Redis.start(t, ['--requirepass', 'pw']);
  const front = await Baton.start(t, { servers: [locked], pool: { redis_auth: 'pw' } });
  const client = await front.client();
  const replies = await client.pipeline([
    ['SET', 'a', 1], ['AUTH', 'pw'], ['SET', 'a', 2], ['GET', 'a'], ['RESET'], ['GET', 'a'],
  ]);
  t.same(replies.map((reply) => show(reply.raw).slice(1, 8)),
    ['-NOAUTH', '+OK\\r\\n', '+OK\\r\\n', '$1\\r\\n2', '+RESET\\', '-NOAUTH']);
});

t.test('several pools and unix sockets, each its own', async (t) => {
  const other = await Redis.start(t);
  const front = await Baton.start(t, {
    servers: [redis], pools: { beta: { servers: [other.entry] } },
  });
  const [a, b] = [await front.client(front.ports.alpha!), await front.client(front.ports.beta!)];
  await a.call('SET', 'whose', 'alpha');
  await b.call('SET', 'whose', 'beta');
  t.equal(await redis.call('GET', 'whose'), 'alpha');
  t.equal(await other.call('GET', 'whose'), 'beta');
  await waitFor('both pools in the statistics', async () => {
    const stats = await front.stats();
    return 'alpha' in stats && 'beta' in stats;
  });
});
