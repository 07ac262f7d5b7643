/**
 * Unit pools and chains (native/unit-pool.*, chain.*, chain-reader.h) against plain strings, over
 * real shared memory: with room enough, with hardly any, and with two lanes at one table.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

CppProgram.compile(t, 'test/native/chains.cc', [
  'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc',
]).play(t, [
  'one-lane', 'small-pool', 'full-tables', 'no-memory', 'given-back', 'spare-stays', 'claims',
  'two-lanes', 'lanes-at-once', 'reader',
]);
