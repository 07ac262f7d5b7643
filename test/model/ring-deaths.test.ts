/**
 * Rings across processes that are killed between any two instructions: test/native/ring-deaths.cc.
 * BATON_MESSAGES=n: so many from each lane to each other one; there is a death in some 300 of them.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

const { BATON_MESSAGES: messages } = process.env;

CppProgram.compile(t, 'test/native/ring-deaths.cc', [
  'native/post.cc', 'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc',
]).play(t, ['deaths', 'wraps', 'little-memory'], '', messages === undefined ? [] : [messages]);
