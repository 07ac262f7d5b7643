/**
 * A small C++ program over headers and sources of native/, compiled with the address and undefined
 * behaviour sanitizers: parts of the addon, tested without Node, sockets or a lane around them.
 *
 *   const program = CppProgram.compile(t, 'test/native/chains.cc', ['native/chain.cc']);
 *   program.play(t, ['small-pool']);        // each section is a test; the seed is printed
 *
 * The exit code of a section is the verdict. The seed is its second argument, so that
 * BATON_SEED=n repeats it.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';
import { dice } from './seed.js';

export const repositoryRoot = fileURLToPath(new URL('../../../', import.meta.url)); // from dist

const PATIENCE_MS = 90_000; // a loaded machine is slow, a program that hangs is a failure
const STDERR_CHARS = 4000;

/** As binding.gyp has it, but for the optimisation. */
const FLAGS = [
  '-std=c++20', '-O1', '-g', '-Wall', '-Wextra', '-Wno-unused-parameter',
  '-fno-exceptions', '-fno-rtti', '-fno-strict-aliasing', '-fno-omit-frame-pointer', '-pthread',
  '-fsanitize=address,undefined', '-fno-sanitize-recover=all',
];

export interface Outcome {
  readonly code: number | null; // null: killed by a signal or out of patience
  readonly out: string;         // as latin1
  readonly err: string;
}

export class CppProgram {
  private constructor(readonly path: string) {}

  /** Paths count from the repository's root. Throws, with the compiler's words, if it refuses. */
  /** `tree`: where native/ and test/native/ are. */
  static compile(
    scope: Scope, main: string, sources: readonly string[] = [], tree = repositoryRoot,
  ): CppProgram {
    const path = join(scratch(scope), 'program');
    const files = [main, ...sources].map((file) => join(tree, file));
    const include = ['-I', join(tree, 'native')];
    execFileSync('g++', [...FLAGS, ...include, ...files, '-o', path], { encoding: 'utf8' });
    return new CppProgram(path);
  }

  run(args: readonly string[], input: string = ''): Outcome {
    const { status, stdout, stderr } = spawnSync(this.path, args, {
      input, encoding: 'latin1', timeout: PATIENCE_MS, maxBuffer: 1 << 28,
    });
    return { code: status, out: stdout, err: stderr };
  }

  /**
   * Runs each section with a seed and expects it to end well, having checked something: a
   * program says "<n> checks" at its end. `input` is what every section reads.
   */
  play(t: Test, sections: readonly string[], input: string = ''): void {
    const { seed } = dice(t);
    for (const section of sections) {
      t.test(section, (t) => {
        const { code, out, err } = this.run([section, String(seed)], input);
        const checks = Number(/^(\d+) checks$/m.exec(out)?.[1] ?? 0);
        t.equal(code, 0, 'ends well', { stderr: err.slice(0, STDERR_CHARS) });
        t.ok(checks > 0, `${checks} checks`);
        t.end();
      });
    }
  }
}
