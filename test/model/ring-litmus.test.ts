/**
 * Lost wake-ups and unordered memory: test/native/ring-litmus.cc with processes, as fast as it goes,
 * and with threads under ThreadSanitizer, which must also see each order that is left out.
 *
 *   BATON_MESSAGES=100000000 npm test -- model/ring-litmus        ten seconds on two cores
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { CppProgram, repositoryRoot, type Making } from '../support/cpp-program.js';
import { dice } from '../support/seed.js';

const MESSAGES = process.env['BATON_MESSAGES'] ?? '10000000';
const FEW = '100000'; // a sanitizer is slow
const SOURCES = ['native/post.cc', 'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc'];

/** The orders on which rings rest, in native/ring.h. */
const ORDERS = [
  ['a tail without release', '&mine_->tail, queued, __ATOMIC_RELEASE'],
  ['a tail without acquire', '&theirs_->tail, __ATOMIC_ACQUIRE'],
  ['a head without release', '&mine_->head, taken, __ATOMIC_RELEASE'],
  ['a head without acquire', '&theirs_->head, __ATOMIC_ACQUIRE'],
] as const;

const seed = String(dice(t).seed);
const compile = (making: Making) =>
  CppProgram.compile(t, 'test/native/ring-litmus.cc', SOURCES, making);

t.test('processes', (t) => {
  const { code, out, err } = compile({ kind: 'fast' }).run([MESSAGES, seed]);
  t.equal(code, 0, out.split('\n').slice(0, 2).join('; '), { stderr: err });
  t.match(out, /: 0 lost, 0 stuck/);
  t.end();
});

t.test('threads, no race', (t) => {
  const { code, out, err } = compile({ kind: 'threads' }).run([FEW, seed]);
  t.equal(code, 0, 'ends well', { stderr: err.slice(0, 4000) });
  t.match(out, /: 0 lost, 0 stuck/);
  t.end();
});

const header = readFileSync(join(repositoryRoot, 'native/ring.h'), 'utf8');

for (const [name, order] of ORDERS) {
  t.test(name, (t) => {
    t.equal(header.split(order).length, 2, 'it is there once');
    const weak = header.replace(order, order.replace(/__ATOMIC_\w+/, '__ATOMIC_RELAXED'));
    const { err } = compile({ kind: 'threads', headers: { 'ring.h': weak } }).run([FEW, seed]);
    t.match(err, /ThreadSanitizer: data race/, 'is seen');
    t.end();
  });
}
