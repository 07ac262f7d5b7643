/**
 * native/journal.h against a copy of the last commit: turns sealed and undone at random, and
 * processes that die at any byte of an image, in the commit, and while they undo what another left.
 */
import t from 'tap';
import { CppProgram } from '../support/cpp-program.js';

CppProgram.compile(t, 'test/native/journal.cc')
  .play(t, ['turns', 'turn-wraps', 'capacity', 'deaths', 'undoing-dies', 'damaged']);
