/**
 * Rings across processes that are killed between any two instructions: test/native/ring-deaths.cc.
 * BATON_MESSAGES=n sends so many from each lane to each other one.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

CppProgram.compile(t, 'test/native/ring-deaths.cc', [
  'native/post.cc', 'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc',
]).play(t, ['deaths', 'wraps', 'little-memory']);
