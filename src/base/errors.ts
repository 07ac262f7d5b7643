/**
 * Errors that a person at a terminal can do something about. They are told in plain lines, without
 * a stack; anything else that is thrown is our bug and keeps its stack.
 */

/** What the shell gets to see. */
export const enum ExitCode {
  Ok = 0,
  Failed = 1, // the world: no memory, a worker that does not start
  Operator = 2, // a directive, an option, a busy port: something to correct and try again
}

/** Cannot go on, for reasons the operator can change. `lines` has one entry per reason. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError';

  constructor(
    readonly code: string, // stable, for logs: 'port-busy', 'shm-short', …
    readonly lines: readonly string[],
    readonly exitCode: ExitCode = ExitCode.Operator,
  ) {
    super(lines.join('\n'));
  }
}

/** The `code` of a system error (EADDRINUSE…), or '' for anything else. */
export function systemCode(error: unknown): string {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === 'string' ? code : '';
}

/** What went wrong in the system's words: its message without the call and what that was about. */
export function systemReason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code === undefined || syscall === undefined) return error.message;
  const isOurs = error.message.startsWith(`${syscall} `);
  const text = isOurs ? error.message.slice(error.message.lastIndexOf(': ') + 2)
    : error.message.replace(/^[A-Z0-9]+: /, '').replace(/, [a-z]+.*$/s, '');
  return text.charAt(0).toLowerCase() + text.slice(1);
}
