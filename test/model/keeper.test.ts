/**
 * native/keeper.h with real processes: what stays open when a worker is killed, who hands it out,
 * and when a keeper ends. And what the keeper consists of: its code must call nothing.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { CppProgram, repositoryRoot } from '../support/cpp-program.js';
import { scratch } from '../support/scratch.js';

CppProgram.compile(t, 'test/native/keeper.cc',
  ['native/keeper.cc', 'native/bare-keeper.cc', 'native/fd-pass.cc'])
  .play(t, [
    'worker-killed', 'closed-numbers', 'busy-worker', 'dying-claimants', 'rivals', 'full-queues',
    'roll-back', 'names-in-flight', 'ends', 'stop', 'exact-table', 'idle', 'memory',
    'signals', 'few-numbers', 'nobody', 'forbidden', 'dock', 'master-lives', 'late-order',
  ]);

// A loop that the compiler turns into memset, or a guard on the stack, would lead to libc, which
// the keeper has unmapped.
for (const optimisation of ['-O0', '-O2', '-O3']) {
  t.test(`nothing outside is needed with ${optimisation}`, (t) => {
    const object = join(scratch(t), 'bare-keeper.o');
    execFileSync('g++', ['-std=c++20', '-fPIC', '-fstack-protector-all', optimisation, '-c',
      join(repositoryRoot, 'native/bare-keeper.cc'), '-o', object]);
    t.equal(execFileSync('nm', ['--undefined-only', object], { encoding: 'utf8' }), '');
    t.match(execFileSync('nm', ['--defined-only', object], { encoding: 'utf8' }), / T .*keep/);
    t.end();
  });
}
