/**
 * Baton as a package manager installs it, so that a test may replace it under a running one:
 *
 *   DIRECTORY/current ─► release-1/  bin  dist/src  build/Release/baton.node  package.json
 *                        release-2/  …                node_modules ─► ours
 */
import { chmodSync, cpSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url)); // from dist/test/support

export class Installation {
  #releases = 0;

  private constructor(readonly directory: string) {}

  /** With one release, whose version is 1.0.0. */
  static make(scope: Scope): Installation {
    const installation = new Installation(scratch(scope));
    chmodSync(installation.directory, 0o755); // workers may run as another user
    installation.release();
    return installation;
  }

  /** What is typed to start it: a path through the link. */
  get program(): string {
    return join(this.directory, 'current/bin/baton');
  }

  /** Version of the release that `current` is. */
  get version(): string {
    return `${this.#releases}.0.0`;
  }

  /** Makes another release out of a tree, ours, changes files of it, and makes it the current one. */
  release(changes: { readonly [path: string]: (text: string) => string } = {}, tree = ROOT): void {
    this.#releases += 1;
    const to = join(this.directory, `release-${this.#releases}`);
    for (const path of ['bin', 'dist/src', 'build/Release/baton.node', 'package.json']) {
      mkdirSync(dirname(join(to, path)), { recursive: true });
      cpSync(join(tree, path), join(to, path), { recursive: true });
    }
    symlinkSync(join(ROOT, 'node_modules'), join(to, 'node_modules'));
    const version = (text: string): string =>
      text.replace(/"version": "[^"]*"/, `"version": "${this.version}"`);
    for (const [path, change] of Object.entries({ 'package.json': version, ...changes })) {
      const text = readFileSync(join(to, path), 'utf8');
      const next = change(text);
      if (next === text) throw new Error(`${path} has not been changed`);
      writeFileSync(join(to, path), next);
    }
    symlinkSync(to, join(this.directory, 'next'));
    renameSync(join(this.directory, 'next'), join(this.directory, 'current'));
  }
}
