/**
 * A directory that is gone when the test is over. Short path: unix sockets live in it, and a
 * socket's path may have 107 bytes.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Scope } from './scope.js';

export function scratch(scope: Scope): string {
  const directory = mkdtempSync(join(tmpdir(), 'baton-'));
  scope.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
