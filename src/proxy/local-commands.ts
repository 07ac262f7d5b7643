/**
 * Answers what needs no backend: the commands of Plan.Local, and the error for everything that is
 * unknown, malformed, not allowed before AUTH, or refused.
 *
 *   args ─▶ resolve (container → subcommand) ─▶ admission ─▶ handler of the row ─▶ LocalAnswer
 *                                                  └─▶ error
 */
import { fail } from '../base/assert.js';
import { resolveCommand } from '../protocol/command-table.js';
import { rejectionOf } from './local-admission.js';
import {
  answerError, type LocalAnswer, type LocalHandler, type ProxyFacts, type SessionFacts,
} from './local-answer.js';
import { clientHandlers } from './local-client.js';
import { commandHandlers } from './local-command.js';
import { configHandlers } from './local-config.js';
import { helpHandlers } from './local-help.js';
import { infoHandlers } from './local-info.js';
import { sessionHandlers } from './local-session.js';

const HANDLERS: ReadonlyMap<number, LocalHandler> = new Map([
  ...clientHandlers, ...commandHandlers, ...configHandlers, ...helpHandlers, ...infoHandlers,
  ...sessionHandlers,
]);

/** Whether a row of the table has a handler here. */
export function isAnsweredLocally(id: number): boolean {
  return HANDLERS.has(id);
}

/**
 * The answer to a whole command, args[0] being its name. Only for commands that are not to be
 * forwarded: one that is admitted and has no handler is the caller's mistake.
 */
export function answerLocally(
  args: readonly Buffer[], session: SessionFacts, proxy: ProxyFacts,
): LocalAnswer {
  const id = resolveCommand(args);
  const rejection = rejectionOf(id, args, session.authenticated);
  if (rejection !== null) return answerError(rejection);
  const handler = HANDLERS.get(id) ?? fail('a command answered locally has a handler');
  return handler({ id, args, session, proxy });
}
