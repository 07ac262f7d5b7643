/**
 * A turn is a transaction: chains in journalled rows, undone at random, with memory running out,
 * and with owners that are killed in the middle of a turn or of their recovery.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

CppProgram.compile(t, 'test/native/turns.cc', [
  'native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc',
]).play(t, ['roll-backs', 'scarce', 'killed']);
