/**
 * The catalogue of errors that clients may read, without the leading '-' and the line end.
 * Where Redis knows the mistake, its words are used to the letter: client libraries compare them.
 */
import { Refusal } from './command.js';
import { commands, refusalOf } from './command-table.js';
import { latin1Of } from './reply.js';
import { integerOf } from './text.js';

export const SYNTAX_ERROR = 'ERR syntax error';
export const NOT_AN_INTEGER = 'ERR value is not an integer or out of range';
export const NOT_AN_INT32 = 'ERR value is out of range, value must between -2147483648 and 2147483647';
export const NOAUTH = 'NOAUTH Authentication required.';
export const NOAUTH_HELLO = 'NOAUTH HELLO must be called with the client already authenticated, ' +
  'otherwise the HELLO AUTH <user> <pass> option can be used to authenticate the client and ' +
  'select the RESP protocol version at the same time';
export const WRONGPASS = 'WRONGPASS invalid username-password pair or user is disabled.';
export const NO_PASSWORD_SET = 'ERR AUTH <password> called without any password configured for ' +
  'the default user. Are you sure your configuration is correct?';
export const NOPROTO = 'NOPROTO unsupported protocol version';
export const BAD_PROTOCOL_NUMBER = 'ERR Protocol version is not an integer or out of range';
export const DB_OUT_OF_RANGE = 'ERR DB index is out of range';
export const BAD_CLIENT_NAME =
  'ERR Client names cannot contain spaces, newlines or special characters.';
export const BAD_CLIENT_ID = 'ERR Invalid client ID';
export const NO_SUCH_CLIENT = 'ERR No such client';
export const LOW_CLIENT_ID = 'ERR client-id should be greater than 0';
export const CLUSTER_DISABLED = 'ERR This instance has cluster support disabled';
export const CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same server";
export const GETKEYS_UNKNOWN = 'ERR Invalid command specified';
export const GETKEYS_NO_KEYS = 'ERR The command has no key arguments';
export const GETKEYS_BAD_ARITY = 'ERR Invalid number of arguments specified for command';
export const GETKEYS_BAD_ARGS = 'ERR Invalid arguments specified for command';

/** So many bytes of a client's words are repeated to it in an error. */
const QUOTED_MAX = 128;

/** ERR unknown command 'foo', with args beginning with: 'a' 'b' */
export function unknownCommandError(args: ArrayLike<Uint8Array>): string {
  let rest = '';
  for (let i = 1; i < args.length && rest.length < QUOTED_MAX; i += 1) {
    rest += `'${quoted(args[i], QUOTED_MAX - rest.length)}' `;
  }
  return `ERR unknown command '${quoted(args[0], QUOTED_MAX)}', with args beginning with: ${rest}`;
}

/** ERR unknown subcommand 'foo'. Try CLIENT HELP. */
export function unknownSubcommandError(containerId: number, name: Uint8Array): string {
  const container = commands[containerId].name.toUpperCase();
  return `ERR unknown subcommand '${quoted(name, QUOTED_MAX)}'. Try ${container} HELP.`;
}

/** ERR wrong number of arguments for 'client|setname' command */
export function wrongArityError(id: number): string {
  return `ERR wrong number of arguments for '${commands[id].name}' command`;
}

/** ERR command 'blpop' is not supported by Baton: it blocks … */
export function refusalError(id: number, refusal: Refusal = refusalOf[id]): string {
  if (refusal === Refusal.Cluster) return CLUSTER_DISABLED;
  const name = commands[id].name.replace('|', ' ');
  return `ERR command '${name}' is not supported by Baton: ${reasonOf(refusal)}`;
}

/** ERR option 'off' of command 'client reply' is not supported by Baton: … */
export function refusedOptionError(id: number, option: string, refusal: Refusal): string {
  const name = commands[id].name.replace('|', ' ');
  return `ERR option '${option}' of command '${name}' is not supported by Baton: ` +
    reasonOf(refusal);
}

/** ERR command 'eval' is not supported by Baton without a key: … */
export function noKeyError(id: number): string {
  return `ERR command '${commands[id].name}' is not supported by Baton without a key: ` +
    'no server can be chosen';
}

function reasonOf(refusal: Refusal): string {
  switch (refusal) {
    case Refusal.Blocks: return 'it blocks the connection that all clients share';
    case Refusal.Connection: return 'it changes the connection that all clients share';
    case Refusal.Administers: return 'it administers a server, and clients do not know which';
    case Refusal.NoKey: return 'it names no key, so no server can be chosen';
    case Refusal.PubSub: return 'messages are not passed on between clients';
    case Refusal.Cluster: return 'cluster support is disabled';
    case Refusal.None: return 'it is switched off';
    default: return refusal satisfies never;
  }
}

/** What Redis answers when keysOf found the arguments of a command with keys to be wrong. */
export function keyFaultError(id: number, args: ArrayLike<Uint8Array>): string {
  const countAt = commands[id].specs.find((spec) => spec.counted)?.index;
  if (countAt === undefined || countAt >= args.length) return SYNTAX_ERROR;
  const { name, group } = commands[id];
  const count = integerOf(args[countAt]);
  const wantsPositive = name.endsWith('mpop') || name === 'sintercard';
  if (group === 'scripting') return scriptCountFault(count);
  if (wantsPositive && (count === null || count < 1)) return 'ERR numkeys should be greater than 0';
  if (count === null) return NOT_AN_INTEGER;
  if (count < 1) return `ERR at least 1 input key is needed for '${name}' command`;
  return name === 'sintercard' ? TOO_MANY_KEYS : SYNTAX_ERROR;
}

const TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args";

function scriptCountFault(count: number | null): string {
  if (count === null) return NOT_AN_INTEGER;
  return count < 0 ? "ERR Number of keys can't be negative" : TOO_MANY_KEYS;
}

/** A client's word as it may stand in an error: up to a NUL byte, line ends made blanks. */
export function quoted(bytes: Uint8Array, maxBytes: number): string {
  const nul = bytes.indexOf(0);
  const length = Math.min(nul < 0 ? bytes.length : nul, maxBytes);
  return latin1Of(bytes.subarray(0, length)).replace(/[\r\n]/g, ' ');
}
