/**
 * The two RESP scanners, native/resp.h (all bytes at once) and native/push-scanner.h (as they
 * come), over generated messages, each in a block of exactly its size, and over broken ones.
 */
import t from 'tap';
import { CppProgram } from '../../support/cpp-program.js';

CppProgram.compile(t, 'test/native/scanners.cc').play(t, [
  'requests', 'replies', 'pieces', 'headers', 'canonical-numbers', 'huge-numbers', 'bulk-max',
  'mutated-replies', 'mutated-requests', 'garbage', 'large',
]);
