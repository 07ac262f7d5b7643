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
import { cpSync, writeFileSync } from 'node:fs';
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
  '-std=c++20', '-g', '-Wall', '-Wextra', '-Wno-unused-parameter',
  '-fno-exceptions', '-fno-rtti', '-fno-strict-aliasing', '-fno-omit-frame-pointer', '-pthread',
];

/** checked: address and undefined behaviour; threads: data races, of a program with threads. */
const KINDS = {
  checked: ['-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=all'],
  threads: ['-O1', '-fsanitize=thread', '-Wno-tsan', '-DBATON_THREADS'],
  fast: ['-O2'],
};

export interface Making {
  readonly kind?: keyof typeof KINDS; // checked
  /** Text of a header that takes the place of the one in native/, by its name. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly tree?: string; // where native/ and test/native/ are; the repository's root
}

export interface Outcome {
  readonly code: number | null; // null: killed by a signal or out of patience
  readonly out: string;         // as latin1
  readonly err: string;
}

export class CppProgram {
  private constructor(readonly path: string) {}

  /** Paths count from the repository's root. Throws, with the compiler's words, if it refuses. */
  static compile(
    scope: Scope, main: string, sources: readonly string[] = [],
    { kind = 'checked', headers = {}, tree = repositoryRoot }: Making = {},
  ): CppProgram {
    const place = scratch(scope);
    const path = join(place, 'program');
    let from = tree;
    if (Object.keys(headers).length > 0) {
      // A header beside a source is found before any that an option names.
      from = join(place, 'tree');
      for (const folder of ['native', 'test/native']) {
        cpSync(join(tree, folder), join(from, folder), { recursive: true });
      }
      for (const [name, text] of Object.entries(headers)) {
        writeFileSync(join(from, 'native', name), text);
      }
    }
    const files = [main, ...sources].map((file) => join(from, file));
    const flags = [...FLAGS, ...KINDS[kind], '-I', join(from, 'native')];
    execFileSync('g++', [...flags, ...files, '-o', path], { encoding: 'utf8' });
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
   * program says "<n> checks" at its end. `input` is what every section reads, `more` are
   * arguments behind the seed.
   */
  play(
    t: Test, sections: readonly string[], input: string = '', more: readonly string[] = [],
  ): void {
    const { seed } = dice(t);
    for (const section of sections) {
      t.test(section, (t) => {
        const { code, out, err } = this.run([section, String(seed), ...more], input);
        const checks = Number(/^(\d+) checks$/m.exec(out)?.[1] ?? 0);
        t.equal(code, 0, 'ends well', { stderr: err.slice(0, STDERR_CHARS) });
        t.ok(checks > 0, `${checks} checks`);
        t.end();
      });
    }
  }
}
