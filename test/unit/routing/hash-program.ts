/**
 * Compiles hash-main.cc, which prints what native/hash.h computes, and asks it about keys. Thus the
 * header is tested alone, under a sanitizer, before and besides being part of the addon.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the repository, found from dist/ as from the sources. */
export const repositoryRoot = ((): string => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
})();

export interface KeyHashes {
  readonly partSize: number; // bytes of the tagged part of the key
  readonly hashes: readonly number[]; // of that part; by HashKind, unsigned
  readonly routed: readonly number[]; // what routing looks up; by HashKind, unsigned
}

export class HashProgram {
  readonly #folder: string;

  /** `flags` are given to g++ besides those of the addon. */
  constructor(flags: readonly string[]) {
    this.#folder = mkdtempSync(join(tmpdir(), 'baton-hash-'));
    const source = join(repositoryRoot, 'test/unit/routing/hash-main.cc');
    execFileSync('g++', [
      ...['-std=c++20', '-Wall', '-Wextra', '-Wconversion', '-Werror'],
      ...['-fno-exceptions', '-fno-rtti', '-I', join(repositoryRoot, 'native')],
      ...[...flags, source, '-o', join(this.#folder, 'hash-main')],
    ]);
  }

  /** Hashes all `keys` under one tag of two characters; '' is none. */
  hash(keys: readonly Buffer[], tag = ''): KeyHashes[] {
    const tagHex = tag === '' ? '0000' : Buffer.from(tag, 'latin1').toString('hex');
    const lines = execFileSync(join(this.#folder, 'hash-main'), {
      input: keys.map((key) => `${tagHex} ${key.toString('hex')}\n`).join(''),
      maxBuffer: 1 << 30,
    }).toString('latin1').trimEnd().split('\n');
    return lines.map((line) => {
      const [partSize, ...numbers] = line.split(' ').map(Number);
      return { partSize: partSize!, hashes: numbers.slice(0, 12), routed: numbers.slice(12) };
    });
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }
}
