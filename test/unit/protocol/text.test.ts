/**
 * Goal: words, integers and globs are read as Redis reads them.
 * Method: integers against a reference; globs against KEYS of a real redis-server, with random
 * patterns over the characters that mean something.
 */
import fc from 'fast-check';
import t from 'tap';
import { integerOf, isClientWord, isGlobMatch, isWord } from '../../../src/protocol/text.js';
import { decodeReply } from './decode-reply.js';
import { RedisServer } from './redis-server.js';

void t.test('words in any case', async (t) => {
  t.ok(isWord(Buffer.from('BloCK'), 'block'));
  t.ok(isWord(Buffer.from('block'), 'BLOCK'));
  t.notOk(isWord(Buffer.from('bloc'), 'block'));
  t.notOk(isWord(Buffer.from('[LOCK'), '{lock'), 'only letters have two cases');
});

void t.test('integers', async (t) => {
  const read = (text: string): number | null => integerOf(Buffer.from(text));
  for (const value of [0, 1, -1, 10, 16384, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER]) {
    t.equal(read(String(value)), value);
  }
  for (const text of ['', '-', '+1', '01', '-0', '1 ', ' 1', '1.0', '1e3', '0x1', 'one', '\u0661',
    '9007199254740992', '99999999999999999999']) {
    t.equal(read(text), null, JSON.stringify(text));
  }
  fc.assert(fc.property(fc.maxSafeInteger(), (value) => read(String(value)) === value));
});

void t.test('client names', async (t) => {
  for (const name of ['', 'a', 'worker:1', '!~']) t.ok(isClientWord(Buffer.from(name)), name);
  for (const name of [' ', 'a b', 'a\n', '\u007f', 'é']) t.notOk(isClientWord(Buffer.from(name)));
});

void t.test('globs', async (t) => {
  const server = await RedisServer.start();
  t.teardown(() => server.stop());
  const connection = await server.connect();
  const alphabet = ['a', 'b', 'c', '-', '[', ']', '^', '\\', '*', '?'];
  const text = fc.array(fc.constantFrom(...alphabet), { maxLength: 6 }).map((c) => c.join(''));
  // Not the empty key: Redis lets KEYS * find it and KEYS ** not.
  const keys = [...new Set(fc.sample(text, { numRuns: 400, seed: 1 }))].filter((key) => key !== '');
  for (const key of keys) await connection.ask('SET', key, '1');
  const property = fc.asyncProperty(text, async (pattern) => {
    const theirs = decodeReply(await connection.ask('KEYS', pattern)) as string[];
    const ours = keys.filter((key) => isGlobMatch(pattern, key));
    t.same(ours.sort(), theirs.sort(), JSON.stringify(pattern));
  });
  await fc.assert(property, { numRuns: 1000 });
  t.ok(isGlobMatch('MAX*', 'maxmemory', true));
  t.notOk(isGlobMatch('MAX*', 'maxmemory'));
  connection.close();
});

void t.test('a pattern of many stars ends soon', async (t) => {
  t.notOk(isGlobMatch('*a'.repeat(2_000), 'a'.repeat(1_900) + 'b'));
});
