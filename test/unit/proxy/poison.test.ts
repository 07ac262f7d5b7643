/**
 * Goal: what the log says of a request that workers died of helps to find it, and tells no secret:
 *   a few bytes of its key, never a value, a password or a script.
 */
import t from 'tap';
import { describe } from '../../../src/proxy/poison.js';
import { encode } from '../../support/resp.js';

function told(...args: string[]): string {
  const bytes = encode(args);
  return describe(bytes.subarray(0, 256), bytes.length);
}

t.test('keys are told, as far as a few bytes', (t) => {
  t.equal(told('get', 'k'), 'GET with 2 arguments, 20 bytes, key "k"');
  t.equal(told('SET', 'user:102938', 'secret'), 'SET with 3 arguments, 43 bytes, key "user:102"…');
  t.equal(told('MGET', 'a\n"', 'b'), 'MGET with 3 arguments, 30 bytes, key "a\\n\\""');
  t.equal(told('SET', 'k', 'x'.repeat(1000)), 'SET with 3 arguments, 1029 bytes, key "k"');
  t.end();
});

t.test('secrets are not', (t) => {
  for (const args of [['AUTH', 'secret'], ['AUTH', 'user', 'secret'],
    ['HELLO', '3', 'AUTH', 'user', 'secret'], ['EVAL', 'secret', '0'],
    ['CONFIG', 'SET', 'requirepass', 'secret'], ['SECRET', 'secret'], ['ECHO', 'secret']]) {
    t.notMatch(told(...args), /secret/i, args.join(' '));
  }
  t.equal(told('AUTH', 'secret'), 'AUTH with 2 arguments, 26 bytes');
  t.end();
});

t.test('what is no request is told by its size', (t) => {
  for (const text of ['', '*', '*2\r\n', '*2\r\n$999999999\r\nx', '*2\r\n$x\r\nGET\r\n', 'PING\r\n',
    '*9999999\r\n$3\r\nGE']) {
    t.match(describe(Buffer.from(text), 77), /^an unknown command, \d+ arguments, 77 bytes$/, text);
  }
  t.end();
});
