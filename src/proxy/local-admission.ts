/**
 * The checks that come before any command is answered or forwarded, in Redis' order: does it
 * exist, has it enough words, may this session use it, does Baton carry it. For requests that
 * cannot be decided from the table's columns alone; plain ones never come here.
 */
import { Flag, Plan, Refusal } from '../protocol/command.js';
import {
  NO_COMMAND, commandIdOf, firstKeyOf, flagsOf, isArityOf, planOf,
} from '../protocol/command-table.js';
import {
  NOAUTH, keyFaultError, noKeyError, refusalError, refusedOptionError, unknownCommandError,
  unknownSubcommandError, wrongArityError,
} from '../protocol/errors.js';
import { isBlockingRead, keysOf } from '../protocol/keys.js';

type Args = ArrayLike<Uint8Array>;

/**
 * Why the command may not pass, as the text of an error, or null. `id` is resolveCommand's answer
 * for the same args.
 */
export function rejectionOf(id: number, args: Args, isAuthenticated: boolean): string | null {
  if (id === NO_COMMAND) return unknownError(args);
  if (!isArityOf(id, args.length)) return wrongArityError(id);
  if (!isAuthenticated && !(flagsOf[id] & Flag.NoAuth)) return NOAUTH;
  if (planOf[id] === Plan.Refused) return refusalError(id);
  if (isBlockingRead(id, args)) return refusedOptionError(id, 'block', Refusal.Blocks);
  return null;
}

function unknownError(args: Args): string {
  const container = commandIdOf(args[0]);
  return container === NO_COMMAND
    ? unknownCommandError(args)
    : unknownSubcommandError(container, args[1]);
}

/**
 * The key arguments by which an admitted command of Plan.Plain, Keys or Split is routed: at least
 * one index, or the text of an error.
 */
export function routingKeysOf(id: number, args: Args): number[] | string {
  const keys = keysOf(id, args);
  // Wrong in itself, or a range without keys (PFMERGE with no source): the server of the first key says.
  if (keys === null) return firstKeyOf[id] > 0 ? [firstKeyOf[id]] : keyFaultError(id, args);
  return keys.length === 0 ? noKeyError(id) : keys;
}
