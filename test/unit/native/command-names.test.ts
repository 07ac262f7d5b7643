/** How a lane finds a command's number: native/command-names.h with the names that workers load. */
import t from 'tap';
import { commandCount, commands } from '../../../src/protocol/command-table.js';
import { CppProgram } from '../../support/cpp-program.js';

const names = commands.slice(0, commandCount).map(({ name }) => name); // as dispatch.ts has it
t.ok(names.length > 200, 'the table is not empty');
t.same(names, names.map((name) => name.toLowerCase()), 'names are lower case');

CppProgram.compile(t, 'test/native/command-names.cc')
  .play(t, ['every-name', 'near-misses', 'strangers'], names.map((name) => `${name}\n`).join(''));
