/**
 * Goal: the clients people have work with their default settings.
 * Method: redis-benchmark, redis-cli, ioredis, node-redis and python3-redis connect to Baton before
 *   three servers and do everyday work; any error, on any channel they have for it, fails the test.
 */
import t from 'tap';
import { Redis as IoRedis } from 'ioredis';
import { createClient } from 'redis';
import { Baton } from '../support/baton.js';
import { spawnChild } from '../support/children.js';
import { Redis } from '../support/redis.js';
import { encode } from '../support/resp.js';

t.setTimeout(400_000);
const servers = await Redis.startMany(t, 3);
const baton = await Baton.start(t, {
  servers, pool: { distribution: 'ketama' }, global: { worker_processes: 2 },
});
const port = String(baton.port);

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program to its end, with something on its standard input. */
function run(program: string, args: string[], input: string | Buffer = ''): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawnChild(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout!.on('data', (bytes: Buffer) => { out += bytes.toString(); });
    child.stderr!.on('data', (bytes: Buffer) => { err += bytes.toString(); });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin!.end(input);
  });
}

const cli = (args: string[], input = ''): Promise<Outcome> =>
  run('redis-cli', ['-p', port, ...args], input);

const BENCHMARKS = [
  ['-n', '2000'], ['-n', '4000', '-P', '16'], ['-n', '2000', '-c', '200', '-r', '1000'],
  ['-n', '1000', '-d', '5000', '-t', 'set,get,lpush,mset'], ['-n', '300', '-k', '0', '-t', 'get'],
  ['-n', '2000', '-3', '-t', 'get,hset,zadd'], ['-n', '3000', '-P', '64', '--threads', '2'],
];

for (const args of BENCHMARKS) {
  t.test(`redis-benchmark ${args.join(' ')}`, async (t) => {
    const { code, out, err } = await run('redis-benchmark', ['-p', port, '-q', ...args]);
    t.equal(code, 0);
    t.notMatch(err, /error/i);
    t.notMatch(out, /error|warning/i);
    const rates = [...out.matchAll(/([\d.]+) requests per second/g)].map((match) => match[1]);
    t.ok(rates.length >= (args.includes('-t') ? 1 : 19), `${rates.length} results`);
  });
}

t.test('redis-cli: one command, commands from standard input, quoting', async (t) => {
  t.same(await cli(['SET', 'cli', 'value']), { code: 0, out: 'OK\n', err: '' });
  t.equal((await cli(['GET', 'cli'])).out, 'value\n');
  const script = 'SET cli "two words"\nGET cli\nMSET cli:a 1 cli:b 2 cli:c 3\n'
    + 'MGET cli:a cli:b cli:c cli:none\nPING\nDEL cli:a cli:b cli:c\nSELECT 0\nNOSUCH\nGET cli\n';
  const { code, out } = await cli([], script);
  t.equal(code, 0);
  t.equal(out, 'OK\ntwo words\nOK\n1\n2\n3\n\nPONG\n3\nOK\n'
    + "ERR unknown command 'NOSUCH', with args beginning with: \n\ntwo words\n");
});

t.test('redis-cli at a terminal, with its hints and help', async (t) => {
  process.env.TERM = 'dumb'; // a terminal that need not be asked where its cursor is
  const typed = 'SET tty 1\nINCR tty\nhelp get\nHELLO 3\nGET tty\nquit\n';
  const { code, out } = await run('script', ['-qec', `redis-cli -p ${port}`, '/dev/null'], typed);
  t.equal(code, 0);
  t.match(out, /\(integer\) 2/);
  t.match(out, /summary:.* (Reads|Get)/, 'help comes from COMMAND DOCS or its own table');
  t.match(out, /"2"/);
});

t.test('redis-cli -r, -3, -x, --csv, --pipe', async (t) => {
  await cli(['DEL', 'cli:n', 'cli:h']);
  t.equal((await cli(['-r', '5', 'INCR', 'cli:n'])).out, '1\n2\n3\n4\n5\n');
  await cli(['HSET', 'cli:h', 'f', 'v']);
  t.equal((await cli(['-3', '--no-raw', 'HGETALL', 'cli:h'])).out, '1# "f" => "v"\n');
  t.equal((await cli(['-x', 'SET', 'cli:x'], 'from stdin')).out, 'OK\n');
  t.equal((await cli(['--csv', 'MGET', 'cli:x', 'cli:n'])).out, '"from stdin","5"\n');
  const mass = Buffer.concat(Array.from({ length: 20_000 }, (_, i) =>
    encode(['SET', `pipe:${i}`, 'x'.repeat(i % 200)])));
  const { code, out } = await run('redis-cli', ['-p', port, '--pipe'], mass);
  t.equal(code, 0);
  t.match(out, 'errors: 0, replies: 20000');
  const sizes = await Promise.all(servers.map((server) => server.call('EVAL',
    'return #redis.call("KEYS", "pipe:*")', 0)));
  t.equal(sizes.reduce<number>((sum, size) => sum + Number(size), 0), 20_000);
});

t.test('ioredis', async (t) => {
  const client = new IoRedis(baton.port, '127.0.0.1');
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  t.equal(await client.set('io', 'value'), 'OK');
  t.equal(await client.get('io'), 'value');
  t.equal(await client.mset({ 'io:a': '1', 'io:b': '2', 'io:c': '3' }), 'OK');
  t.same(await client.mget('io:a', 'io:b', 'io:none', 'io:c'), ['1', '2', null, '3']);
  const pipeline = client.pipeline();
  for (let i = 0; i < 500; i += 1) pipeline.set(`io:p${i}`, String(i)).get(`io:p${i}`);
  const results = (await pipeline.exec())!;
  t.same(results.filter(([error]) => error !== null), []);
  t.equal(results[999]![1], '499');
  await client.hset('io:h', { a: '1', b: '2' });
  t.same(await client.hgetall('io:h'), { a: '1', b: '2' });
  await client.zadd('io:z', 1, 'one', 2, 'two');
  t.same(await client.zrange('io:z', '0', '-1', 'WITHSCORES'), ['one', '1', 'two', '2']);
  const binary = Buffer.from([0, 13, 10, 255]);
  await client.set('io:bin', binary);
  t.ok((await client.getBuffer('io:bin'))!.equals(binary));
  t.equal(await client.eval('return ARGV[1]', 1, 'io', 'arg'), 'arg');
  await t.rejects(client.call('NOSUCH', 'x'), /unknown command/);
  await t.rejects(client.incr('io'), /not an integer/);
  await Promise.all(Array.from({ length: 1000 }, () => client.incr('io:n')));
  t.equal(await client.get('io:n'), '1000');
  t.equal(await client.quit(), 'OK');
  t.same(errors, []);
});

for (const RESP of [undefined, 2, 3] as const) {
  t.test(`node-redis, protocol ${RESP ?? 'by default'}`, async (t) => {
    const client = createClient({
      url: `redis://127.0.0.1:${baton.port}`, ...(RESP === undefined ? {} : { RESP }),
    });
    const errors: unknown[] = [];
    client.on('error', (error) => errors.push(error));
    await client.connect();
    const name = (key: string): string => `nr${RESP ?? ''}:${key}`;
    t.equal(await client.set(name('k'), 'value'), 'OK');
    t.equal(await client.get(name('k')), 'value');
    t.equal(await client.get(name('none')), null);
    await client.mSet([[name('a'), '1'], [name('b'), '2'], [name('c'), '3']]);
    t.same(await client.mGet([name('a'), name('none'), name('c')]), ['1', null, '3']);
    await client.hSet(name('h'), { f: 'v', g: 'w' });
    t.same({ ...await client.hGetAll(name('h')) }, { f: 'v', g: 'w' });
    await client.zAdd(name('z'), [{ score: 1.5, value: 'm' }]);
    t.same(await client.zRangeWithScores(name('z'), 0, -1), [{ score: 1.5, value: 'm' }]);
    await client.sAdd(name('s'), ['x']);
    t.same([...await client.sMembers(name('s'))], ['x']);
    const many = await Promise.all(Array.from({ length: 1000 }, () => client.incr(name('n'))));
    t.same(many, Array.from({ length: 1000 }, (_, i) => i + 1));
    t.equal(await client.del([name('k'), name('a'), name('b'), name('none')]), 3);
    await t.rejects(client.sendCommand(['NOSUCH']), /unknown command/);
    t.equal(await client.ping(), 'PONG');
    await client.close();
    t.same(errors, []);
  });
}

const PYTHON = `
import redis, sys
r = redis.Redis(port=int(sys.argv[1]))
assert r.ping() and r.set('py', 'value') and r.get('py') == b'value'
assert r.mset({'py:a': 1, 'py:b': 2, 'py:c': 3})
assert r.mget('py:a', 'py:none', 'py:c') == [b'1', None, b'3']
assert r.delete('py:a', 'py:b', 'py:c', 'py:none') == 3
r.delete('py:h', 'py:z', 'py:l')
assert r.hset('py:h', mapping={'a': 1, 'b': 2}) == 2
assert r.hgetall('py:h') == {b'a': b'1', b'b': b'2'}
assert r.zadd('py:z', {'m': 1.5}) == 1 and r.zrange('py:z', 0, -1, withscores=True) == [(b'm', 1.5)]
assert r.rpush('py:l', *range(100)) == 100 and len(r.lrange('py:l', 0, -1)) == 100
p = r.pipeline(transaction=False)
for i in range(1000): p.set('py:p%d' % i, i); p.get('py:p%d' % i)
results = p.execute()
assert len(results) == 2000 and results[-1] == b'999'
assert 'redis_version' in r.info()
try: r.execute_command('NOSUCH'); sys.exit('no error')
except redis.ResponseError as error: assert 'unknown command' in str(error)
assert r.eval('return {KEYS[1], ARGV[1]}', 1, 'py', 'x') == [b'py', b'x']
r.close()
print('done')
`;

t.test('python3-redis', async (t) => {
  const outcome = await run('/usr/bin/python3', ['-c', PYTHON, port]);
  t.same(outcome, { code: 0, out: 'done\n', err: '' });
});
