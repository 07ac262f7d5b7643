/**
 * -d. A Node process cannot fork, so it starts itself again in a session of its own and waits:
 *
 *   shell ─ baton -d ─ spawns ─► baton -d (BATON_DAEMON set)
 *                 ◄── "up" by a pipe ──┘  all workers serve: leaves the terminal, lives on
 *                 ◄── exit code ───────┘  or it failed, having said why on the terminal
 */
import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import { ExitCode } from '../base/errors.js';
import { howToExec } from '../master/typed-command.js';
import { native } from '../native/binding.js';

const VARIABLE = 'BATON_DAEMON';
const PIPE = 3;

/** In the process that the shell started. Resolves to its exit code. */
export function startDaemon(): Promise<ExitCode> {
  const { command, args, cwd, argv0 } = howToExec();
  const child = spawn(command, args, {
    argv0, cwd, detached: true,
    stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, [VARIABLE]: '1' },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve((code ?? ExitCode.Failed) as ExitCode));
    child.stdio[PIPE]!.once('data', () => resolve(ExitCode.Ok));
  });
}

/** Whether this is the process that stays; the workers' environment is not to say so. */
export function isDaemon(): boolean {
  const isSet = process.env[VARIABLE] !== undefined;
  delete process.env[VARIABLE];
  return isSet;
}

/** In the process that stays: all is well. */
export function leaveTerminal(): void {
  native.processDetach();
  try {
    writeSync(PIPE, 'up\n');
  } catch {
    // Whoever waited is gone. Nobody needs to know, then.
  }
  closeSync(PIPE);
}
