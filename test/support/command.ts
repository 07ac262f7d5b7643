/**
 * bin/baton as a command that ends: what it printed, and its exit code.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from './wait-for.js';

const PROGRAM = join(fileURLToPath(new URL('../../../', import.meta.url)), 'bin/baton');

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/**
 * Runs `baton ARGS…` in a directory until its outputs are closed, so that a daemon may stay.
 * `by`: the command that runs it, with its arguments, such as setpriv.
 */
export function runBaton(
  args: readonly string[], directory: string, environment: NodeJS.ProcessEnv = {},
  by: readonly string[] = [],
): Promise<Ended> {
  const [command, ...rest] = [...by, PROGRAM, ...args];
  const child = spawn(command!, rest, {
    cwd: directory, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (bytes: Buffer) => { out += bytes.toString(); });
  child.stderr.on('data', (bytes: Buffer) => { err += bytes.toString(); });
  return within(`baton ${args.join(' ')} to end`, new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, out, err }));
  }), 30_000);
}
