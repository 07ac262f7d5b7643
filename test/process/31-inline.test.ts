/**
 * Goal: inline commands work as in Redis, and bytes that are no request get Redis' own error, in
 *   order, before the connection closes.
 * Method: the same bytes go to a Redis and through Baton; all that comes back is compared.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { Redis } from '../support/redis.js';
import { encode, plain, show } from '../support/resp.js';
import { waitFor } from '../support/wait-for.js';

const direct = await Redis.start(t);
const redis = await Redis.start(t);
const baton = await Baton.start(t, { servers: [redis] });

/** Everything that comes back until `replies` have come, or the other side closed. */
async function answers(port: number, bytes: string | Buffer, count: number): Promise<string[]> {
  const client = await Client.open(t, port);
  await client.send(bytes);
  await waitFor(`${count} replies or a close after ${show(Buffer.from(bytes))}`,
    () => client.waiting.length >= count || client.isClosed);
  const got = client.waiting.map((reply) => show(reply.raw));
  const isOpen = !client.isClosed && await client.command('PING').then(() => true, () => false);
  client.destroy();
  return [...got, isOpen ? 'open' : 'closed'];
}

const MANY = 1_000_000; // replies that never come: wait for the close

const INLINE: [string, string, number][] = [
  ['a word', 'PING\r\n', 1],
  ['a bare line feed', 'PING\n', 1],
  ['small letters', 'ping\r\n', 1],
  ['arguments', 'SET in:a value\r\nGET in:a\r\n', 2],
  ['many blanks and tabs', '  SET \t in:b   spaced  \r\nGET in:b\r\n', 2],
  ['double quotes', 'SET in:c "two words"\r\nGET in:c\r\n', 2],
  ['escapes', 'SET in:d "\\x00\\xff\\n\\r\\t\\b\\a\\\\\\"z"\r\nGET in:d\r\n', 2],
  ['single quotes', 'SET in:e \'it\\\'s "raw" \\n\'\r\nGET in:e\r\n', 2],
  ['an empty argument', 'SET in:f ""\r\nGET in:f\r\n', 2],
  ['empty lines', '\r\n\r\n\nPING\r\n\r\n', 1],
  ['blank lines', '   \r\nPING\r\n', 1],
  ['among arrays', `PING\r\n${encode(['ECHO', 'x']).toString()}PING\r\n`, 3],
  ['an empty array', '*0\r\nPING\r\n', 1],
  ['a null array', '*-1\r\nPING\r\n', 1],
  ['several keys', 'MSET in:g 1 in:h 2\r\nMGET in:g in:h in:none\r\nDEL in:g in:h\r\n', 3],
  ['an unknown word', 'NOSUCH thing\r\nPING\r\n', 2],
  ['too few arguments', 'GET\r\nPING\r\n', 2],
  ['a long line', `ECHO ${'x'.repeat(60_000)}\r\n`, 1],
];

t.test('inline commands', async (t) => {
  for (const [name, bytes, count] of INLINE) {
    t.same(await answers(baton.port, bytes, count), await answers(direct.port, bytes, count), name);
  }
});

t.test('inline commands byte by byte', async (t) => {
  for (const [name, bytes, count] of INLINE.filter(([, bytes]) => bytes.length < 200)) {
    const client = await baton.client();
    for (const byte of Buffer.from(bytes)) {
      await client.send(Buffer.from([byte]));
      await new Promise(setImmediate);
    }
    const got = (await client.replies(count)).map((reply) => show(reply.raw));
    const wanted = await answers(direct.port, bytes, count);
    t.same(got, wanted.slice(0, count), name);
    client.destroy();
  }
});

const BROKEN: [string, string][] = [
  ['an open quote', 'SET x "abc\r\n'],
  ['text behind a quote', 'SET x "abc"def\r\n'],
  ['an open single quote', 'SET x \'abc\r\n'],
  ['an array of no number', '*abc\r\n'],
  ['an array of too many', '*2147483648\r\n'],
  ['no dollar', '*1\r\n:5\r\n'],
  ['no length', '*2\r\n$3\r\nGET\r\n$abc\r\n'],
  ['a negative length', '*2\r\n$3\r\nGET\r\n$-1\r\n'],
  ['a giant length', '*2\r\n$3\r\nGET\r\n$99999999999\r\n'],
  ['an endless length', `*1\r\n$${'1'.repeat(70_000)}`],
  ['an endless line', 'x'.repeat(70_000)],
];

t.test('broken framing: an error, then the connection closes', async (t) => {
  for (const [name, bytes] of BROKEN) {
    const got = await answers(baton.port, bytes, MANY);
    t.same(got, await answers(direct.port, bytes, MANY), name);
    t.equal(got.at(-1), 'closed', `${name}: closed`);
  }
});

t.test('broken framing in a pipeline: what came before is answered first', async (t) => {
  for (const [name, bytes] of BROKEN) {
    const before = Buffer.concat([
      encode(['SET', 'before', name]), encode(['GET', 'before']), encode(['ECHO', 'x']),
    ]);
    const all = Buffer.concat([before, Buffer.from(bytes)]);
    t.same(await answers(baton.port, all, MANY), await answers(direct.port, all, MANY), name);
  }
});

t.test('nothing behind broken framing is executed', async (t) => {
  const client = await baton.client();
  const after = Buffer.concat([encode(['SET', 'behind', '1']), encode(['PING'])]);
  client.push(Buffer.concat([Buffer.from('*1\r\n:5\r\n'), after]));
  await client.closed();
  t.equal(client.waiting.length, 1, 'one reply: the error');
  t.equal(await redis.call('EXISTS', 'behind'), 0);
});

t.test('a broken client disturbs no other', async (t) => {
  const bystander = await baton.client();
  for (const [, bytes] of BROKEN) {
    const broken = await baton.client();
    broken.push(bytes);
    const replies = await bystander.pipeline([['SET', 'by', bytes.length], ['GET', 'by']]);
    t.same(replies.map(plain), ['OK', String(bytes.length)]);
    await broken.closed();
  }
});

t.test('limits of the pool: inline_size_max and request_size_max', async (t) => {
  const small = await Baton.start(t, {
    servers: [redis], pool: { inline_size_max: '2k', request_size_max: '10k' },
  });
  const inline = await small.client();
  inline.push('x'.repeat(3000));
  await inline.closed();
  t.match(show(inline.waiting[0]!.raw), 'Protocol error: too big inline request');
  const request = await small.client();
  t.equal(await request.call('SET', 'fits', 'x'.repeat(10 * 1024)), 'OK');
  request.push(encode(['SET', 'small', 'y']));
  request.push(encode(['SET', 'large', 'x'.repeat(10 * 1024 + 1)]));
  await request.closed();
  const replies = request.waiting.map((reply) => show(reply.raw));
  t.equal(replies.length, 2, 'the request before it was answered');
  t.match(replies[1], 'Protocol error: invalid bulk length');
  t.equal(await redis.call('EXISTS', 'large'), 0);
});

t.test('HTTP: closed before anything of it is carried out', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis] });
  for (const first of ['POST / HTTP/1.1', 'host: localhost']) {
    const client = await baton.client();
    client.push(Buffer.from(`${first}\r\n\r\nSET evil 1\r\n`));
    await waitFor('the connection to close', () => client.isClosed);
    t.same(client.waiting, [], `nothing is answered to ${first}`);
  }
  t.equal(await (await baton.client()).call('EXISTS', 'evil'), 0);
  await waitFor('a line in the log', () => baton.log.includes('it speaks HTTP'));
});
