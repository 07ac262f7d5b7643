/**
 * The words of the command table: what is known about one Redis command, and what Baton does with
 * it. The rows themselves are data, by family, under commands/; command-table.ts gives them ids.
 *
 * Key specs (`keys`) say where a command's keys are, one spec per kind of access, separated by `;`:
 *
 *   RO access at 1                  one key at argv[1]
 *   OW update at 1 to -1 step 2     every second argument from argv[1] to the last
 *   RW access update at 2 counted   argv[2] says how many keys follow it
 *   RO access after STREAMS 1 to -1 limit 2
 *                                   behind the word STREAMS, which is looked for from argv[1] on;
 *                                   the first half of what follows are keys
 *   OW update unknown               somewhere: keys.ts holds the rule in code
 */
import { MergeKind } from '../shm/codes.js';

/** What Baton does with a command. */
export const enum Plan {
  Plain,      // exactly one key, at firstKeyOf: hash it and forward
  Keys,       // several or movable keys: forward when one server owns them all, else CROSSSLOT
  Split,      // cut into one command per server, replies merged as MergeKind says
  Local,      // answered by the proxy itself
  Refused,    // answered with an error; Refusal says why
  Container,  // argv[1] names a subcommand, which has a row of its own
}

/** How the replies to the parts of a split command become one reply: shared with C++. */
export { MergeKind };

/** Why a command is not carried. The texts stand in errors.ts. */
export const enum Refusal {
  None,
  Blocks,       // would hold up the connection that many clients share
  Connection,   // would change the state of that connection
  Administers,  // acts on a server, and there are many behind a proxy
  NoKey,        // names no key: nobody knows to which server it should go
  PubSub,       // messages are not passed on
  Cluster,      // answered as by a Redis whose cluster mode is off
}

/** Flags as COMMAND INFO names them; one bit each, in the order in which Redis lists them. */
export const enum Flag {
  Write = 1 << 0,
  Readonly = 1 << 1,
  DenyOom = 1 << 2,
  Admin = 1 << 3,
  PubSub = 1 << 4,
  NoScript = 1 << 5,
  Blocking = 1 << 6,
  Loading = 1 << 7,
  Stale = 1 << 8,
  SkipMonitor = 1 << 9,
  SkipSlowlog = 1 << 10,
  Asking = 1 << 11,
  Fast = 1 << 12,
  NoAuth = 1 << 13,           // allowed before AUTH
  NoMandatoryKeys = 1 << 14,  // may come without a key: EVAL … 0
  NoAsyncLoading = 1 << 15,
  NoMulti = 1 << 16,
  MovableKeys = 1 << 17,      // derived: first/last/step do not tell all keys
  AllowBusy = 1 << 18,
}

/** The names of the Flag bits, lowest bit first. */
export const FLAG_NAMES: readonly string[] = [
  'write', 'readonly', 'denyoom', 'admin', 'pubsub', 'noscript', 'blocking', 'loading', 'stale',
  'skip_monitor', 'skip_slowlog', 'asking', 'fast', 'no_auth', 'no_mandatory_keys',
  'no_async_loading', 'no_multi', 'movablekeys', 'allow_busy',
];

/** ACL categories in the order in which Redis lists them. */
export const ACL_CATEGORIES: readonly string[] = [
  'keyspace', 'read', 'write', 'set', 'sortedset', 'list', 'hash', 'string', 'bitmap',
  'hyperloglog', 'geo', 'stream', 'pubsub', 'admin', 'fast', 'slow', 'blocking', 'dangerous',
  'connection', 'transaction', 'scripting',
];

/** Families of commands, as COMMAND DOCS names them. */
export type CommandGroup =
  | 'bitmap' | 'cluster' | 'connection' | 'generic' | 'geo' | 'hash' | 'hyperloglog' | 'list'
  | 'pubsub' | 'scripting' | 'server' | 'set' | 'sorted-set' | 'stream' | 'string'
  | 'transactions';

/** One row as it is written in commands/. */
export interface CommandRow {
  readonly name: string;          // lower case; a subcommand is 'container|subcommand'
  readonly arity: number;         // words with the name; negative: at least so many
  readonly flags: string;         // FLAG_NAMES, space-separated; movablekeys is derived
  readonly keys?: string;         // key specs, see above; absent: no keys
  readonly plan: Plan;
  readonly merge?: MergeKind;     // with Plan.Split
  readonly refusal?: Refusal;     // with Plan.Refused
  readonly acl?: string;          // all categories, when they do not follow from flags and group
  readonly tips?: string;         // command tips, space-separated
  readonly since: string;         // the Redis version that brought it
  readonly summary: string;
}

/** How a key spec finds the argument from which it counts. */
export const enum Begin {
  Index,    // at a fixed position
  Keyword,  // behind a word
  Unknown,
}

/** One parsed key spec. Positions count argv[0] as 0. */
export interface KeySpec {
  readonly flags: readonly string[];  // RO RW OW RM, access update insert delete, not_key …
  readonly begin: Begin;
  readonly index: number;     // Begin.Index: the position; Begin.Keyword: where the search starts
  readonly keyword: string;   // Begin.Keyword only, upper case
  readonly counted: boolean;  // the argument at the beginning says how many keys follow it
  readonly last: number;      // relative to the beginning; negative: to the end of the command
  readonly step: number;
  readonly limit: number;     // keys end at 1/limit of what remains; 0: no limit
}

/** One command of the finished table. */
export interface Command {
  readonly id: number;         // its index in the table
  readonly name: string;
  readonly group: CommandGroup;
  readonly arity: number;
  readonly flags: number;      // Flag bits
  readonly plan: Plan;
  readonly merge: MergeKind;
  readonly refusal: Refusal;
  readonly specs: readonly KeySpec[];
  readonly firstKey: number;   // 0: no key at a fixed position
  readonly lastKey: number;    // negative counts from the end, -1 is the last argument
  readonly keyStep: number;
  readonly acl: readonly string[];
  readonly tips: readonly string[];
  readonly since: string;
  readonly summary: string;
  readonly subcommands: readonly Command[];  // of a container, alphabetical
  readonly parent: Command | null;           // of a subcommand
}
