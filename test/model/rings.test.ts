/**
 * Rings between lanes (native/ring.h, doorbell.h, post.*), each owner an object of one process:
 * turns sealed and undone, owners replaced, positions across every wrap, overflow, credit,
 * budget, payloads.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

CppProgram.compile(t, 'test/native/rings.cc', [
  'native/post.cc', 'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc',
]).play(t, [
  'model', 'wraps', 'little-memory', 'turns', 'payloads', 'full-stream', 'budget', 'congestion', 'credit', 'bells', 'anew',
  'office', 'damaged',
]);
