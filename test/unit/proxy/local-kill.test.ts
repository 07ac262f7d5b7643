/** CLIENT KILL: whom it means; that they are closed is test/process/53-client-kill.test.ts. */
import t from 'tap';
import { answerLocally } from '../../../src/proxy/local-commands.js';
import type { ClientFacts, LocalAnswer } from '../../../src/proxy/local-answer.js';
import { FakeProxy, FakeSession } from './local-facts.js';

const me = new FakeSession({ id: 7, addr: '127.0.0.1:1', lane: 0, row: 3 }).facts;
const near: ClientFacts = { ...me, id: 8, addr: '127.0.0.1:2', row: 4 };
const far: ClientFacts = { ...me, id: 9, addr: '127.0.0.1:3', laddr: '0.0.0.0:7', lane: 5, row: 3 };
const foreign: ClientFacts = { ...me, id: 10, addr: '127.0.0.1:4', pool: 'beta' };

function kill(...words: string[]): LocalAnswer {
  const args = ['CLIENT', 'KILL', ...words].map((word) => Buffer.from(word));
  return answerLocally(args, me, new FakeProxy([me, near, far, foreign]));
}

/** Reply, ids of others, and whether the asking session is closed behind it. */
function outcome(...words: string[]): [string, number[], boolean] {
  const { reply, kills = [], close = false } = kill(...words);
  return [reply.toString('latin1').trimEnd(), kills.map(({ id }) => id), close];
}

t.test('the old form: an address', (t) => {
  t.same(outcome('127.0.0.1:3'), ['+OK', [9], false]);
  t.same(outcome('127.0.0.1:1'), ['+OK', [], true], 'its own');
  t.same(outcome('127.0.0.1:9'), ['-ERR No such client', [], false]);
  t.same(outcome('127.0.0.1:4'), ['-ERR No such client', [], false], 'of another pool');
  t.end();
});

t.test('filters', (t) => {
  t.same(outcome('ID', '9'), [':1', [9], false]);
  t.same(outcome('id', '10'), [':0', [], false], 'of another pool');
  t.same(outcome('ID', '7'), [':0', [], false], 'itself is skipped');
  t.same(outcome('ID', '7', 'SKIPME', 'no'), [':1', [], true]);
  t.same(outcome('TYPE', 'normal'), [':2', [8, 9], false]);
  t.same(outcome('TYPE', 'normal', 'SKIPME', 'NO'), [':3', [8, 9], true]);
  t.same(outcome('TYPE', 'pubsub'), [':0', [], false]);
  t.same(outcome('LADDR', '0.0.0.0:7'), [':1', [9], false]);
  t.same(outcome('ADDR', '127.0.0.1:2', 'USER', 'default'), [':1', [8], false]);
  t.same(outcome('ADDR', '127.0.0.1:2', 'ID', '9'), [':0', [], false], 'all must hold');
  t.end();
});

t.test('mistakes, in the words of Redis', (t) => {
  const error = (...words: string[]) => outcome(...words)[0];
  t.equal(error('ID', '0'), '-ERR client-id should be greater than 0');
  t.equal(error('ID', 'x'), '-ERR client-id should be greater than 0');
  t.equal(error('TYPE', 'odd'), "-ERR Unknown client type 'odd'");
  t.equal(error('USER', 'odd'), "-ERR No such user 'odd'");
  t.equal(error('SKIPME', 'perhaps'), '-ERR syntax error');
  t.equal(error('ODD', 'x'), '-ERR syntax error');
  t.equal(error('ID', '9', 'ADDR'), '-ERR syntax error');
  t.end();
});
