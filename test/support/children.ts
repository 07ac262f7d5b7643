/**
 * Child processes of a test file, killed when it exits however it exits: teardowns do not run
 * when a file dies of an error at its top level.
 */
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';

const running = new Set<ChildProcess>();

process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** spawn(), with standard output and error piped and standard input at its end. */
export function spawnChild(
  program: string, args: readonly string[], options: SpawnOptions = {},
): ChildProcess {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.once('error', () => running.delete(child));
  return child;
}
