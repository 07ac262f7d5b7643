/**
 * Every directive there is: one row each, in the order in which `-T` prints them.
 *
 * Parsing, defaults, `-T`, the hints for mistyped names, what a reload cannot change, and the test
 * that conf/reference.yml is complete: all of them read these rows and nothing else. A directive
 * is named as in the file; its row is keyed by the field of the settings that it fills, so that a
 * field without a row, or a row of another type, does not compile.
 */
import type { GlobalValues, PoolValues } from './settings.js';
import { CONNECTIONS_SCOPES, DISTRIBUTIONS, HASHES, LOG_LEVELS } from './settings.js';
import type { ListType, ScalarType } from './value-types.js';
import {
  choice, coreLists, count, failureLimit, flag, hashTag, INT_MAX, listenAddress, onOff, serverList,
  size, tcpAddressOrOff, text, time, timeOrNever, workers,
} from './value-types.js';

/** Stands where a default would, for directives that must be written. */
export const REQUIRED = Symbol('required');

interface Row<T> {
  readonly name: string;
  readonly type: TypeOf<T>;
  readonly fallback: T | typeof REQUIRED;
  readonly fallbackNote?: string; // what the default means, where its text does not say it
  readonly reload: boolean;       // does HUP apply a changed value? else only a restart does
  readonly doc: string;           // one sentence
}

/** Brackets, so that a union such as number | 'auto' meets one type, not one for each member. */
type TypeOf<T> = [T] extends [readonly (infer Item)[]] ? ListType<Item> : ScalarType<T>;

type Table<Values> = { readonly [Field in keyof Values]: Row<Values[Field]> };

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ANY_INT = { min: 0, max: INT_MAX };

export const GLOBAL_DIRECTIVES: Table<GlobalValues> = {
  workerProcesses: {
    name: 'worker_processes', type: workers(64), fallback: 'auto', reload: true,
    fallbackNote: 'one per core this process may use',
    doc: 'How many workers serve clients, each with a lane of its own; 0 is taken as 1. A reload ' +
      'adds workers, but takes none away.',
  },
  workerCpuAffinity: {
    name: 'worker_cpu_affinity', type: coreLists, fallback: 'off', reload: true,
    doc: 'Binds workers to cores: auto gives each the next core, a list names the cores of each ' +
      'worker in turn and begins again when it is shorter.',
  },
  workerStandby: {
    name: 'worker_standby', type: count({ min: 0, max: 64 }), fallback: 1, reload: true,
    doc: 'How many warm workers wait, for no lane yet, to take one over within milliseconds when ' +
      'its worker dies; with 0 the lane waits until a new worker has started.',
  },
  workerShutdownTimeoutMs: {
    name: 'worker_shutdown_timeout', type: time('s', { min: 0, max: 24 * HOUR }),
    fallback: 30_000, reload: true,
    doc: 'How long a worker that stops gracefully may finish what is in flight before the ' +
      'remaining connections are closed.',
  },
  workerHangTimeoutMs: {
    name: 'worker_hang_timeout', type: timeOrNever('s', { min: 1000, max: 24 * HOUR }),
    fallback: 10_000, reload: true,
    doc: 'How long a worker may take no turn, although its doorbell is rung, before it is killed ' +
      'and another goes on with its sessions; 0 lets it hang.',
  },
  upgradeCanaryMs: {
    name: 'upgrade_canary', type: time('s', { min: 0, max: 24 * HOUR }), fallback: 10_000,
    reload: true,
    doc: 'How long an upgrade watches the first lane that the new program serves before it takes ' +
      'the others; when that one dies, fails more or is slower, the old program takes it back.',
  },
  upgradeWindowMs: {
    name: 'upgrade_window', type: time('s', { min: 0, max: 24 * HOUR }), fallback: 5 * MINUTE,
    reload: true,
    doc: 'How long after an upgrade the old program stays ready to take all lanes back; then the ' +
      'upgrade is committed.',
  },
  orphanTimeoutMs: {
    name: 'orphan_timeout', type: time('s', { min: 0, max: 24 * HOUR }), fallback: 60_000,
    reload: true,
    doc: 'How long the connections of a lane stay open when both its worker and the master are ' +
      'dead; a master that is started within that time adopts them.',
  },
  user: {
    name: 'user', type: text('user name', 'the name of a user'), fallback: null, reload: true,
    fallbackNote: 'the user that starts Baton',
    doc: 'The user workers run as; needs a master that runs as root.',
  },
  group: {
    name: 'group', type: text('group name', 'the name of a group'), fallback: null, reload: true,
    fallbackNote: 'the main group of "user"',
    doc: 'The group workers run as.',
  },
  maxOpenfiles: {
    name: 'max_openfiles', type: count(ANY_INT), fallback: 0, reload: false,
    fallbackNote: 'as many as the hard limit allows',
    doc: 'The limit of open files for each worker, which bounds its connections.',
  },
  log: {
    name: 'log', type: text('path', 'the path of a file'), fallback: null, reload: true,
    fallbackNote: 'standard error',
    doc: 'The file that log lines are appended to, opened anew at USR1.',
  },
  logLevel: {
    name: 'log_level', type: choice(LOG_LEVELS), fallback: 'info', reload: true,
    doc: 'The least severe lines that are logged.',
  },
  crashDir: {
    name: 'crash_dir', type: text('path', 'the path of a directory'), fallback: null, reload: true,
    fallbackNote: 'reports go to standard error, or into the log',
    doc: 'The directory for reports of workers that died of a fault of their own, at most 10 an ' +
      'hour; the newest 20 are kept. Workers must be allowed to write there.',
  },
  pid: {
    name: 'pid', type: text('path', 'the path of a file'), fallback: null, reload: false,
    fallbackNote: 'none, unless -p names one',
    doc: 'The file that holds the process id of the master while it runs.',
  },
  stats: {
    name: 'stats', type: tcpAddressOrOff, fallback: null, reload: false,
    doc: 'Where twemproxy\'s statistics JSON is served: connect, read one line.',
  },
  statsIntervalMs: {
    name: 'stats_interval', type: time('ms', { min: 1, max: INT_MAX }), fallback: 30_000,
    reload: true,
    doc: 'Accepted for twemproxy\'s sake and without effect: statistics are current whenever ' +
      'they are read.',
  },
  metrics: {
    name: 'metrics', type: tcpAddressOrOff, fallback: null, reload: false,
    doc: 'Where Prometheus metrics are served over HTTP, at /metrics.',
  },
  shmMaxBytes: {
    name: 'shm_max', type: size({ min: 64 * MIB, max: 1024 * GIB }), fallback: 4 * GIB,
    reload: false,
    doc: 'The most shared memory all connections, requests and buffers may take together; at ' +
      'the limit clients are read no further until some is free.',
  },
};

export const POOL_DIRECTIVES: Table<PoolValues> = {
  listen: {
    name: 'listen', type: listenAddress, fallback: REQUIRED, reload: true,
    doc: 'Where the clients of this pool connect.',
  },
  reuseport: {
    name: 'reuseport', type: onOff, fallback: true, reload: false,
    doc: 'on gives each lane a TCP listening socket of its own among which the kernel spreads ' +
      'clients, off shares one among all.',
  },
  backlog: {
    name: 'backlog', type: count({ min: 1, max: INT_MAX }), fallback: 4096, reload: false,
    doc: 'How many connections may wait to be accepted; capped by net.core.somaxconn.',
  },
  tcpkeepalive: {
    name: 'tcpkeepalive', type: flag, fallback: false, reload: true,
    doc: 'Lets the kernel probe idle connections of clients and servers, to notice dead peers.',
  },
  clientConnections: {
    name: 'client_connections', type: count(ANY_INT), fallback: 0, reload: true,
    fallbackNote: 'no limit of this pool\'s own',
    doc: 'The most clients this pool serves at once; more are refused with an error.',
  },
  clientOutputLimitBytes: {
    name: 'client_output_limit', type: size({ min: 64 * KIB, max: GIB }),
    fallback: GIB, reload: true,
    doc: 'The most reply bytes held for one client that reads slowly; beyond it that client is ' +
      'closed.',
  },
  clientRequestsMax: {
    name: 'client_requests_max', type: count({ min: 1, max: 1_048_576 }), fallback: 4096,
    reload: true,
    doc: 'The most requests of one client in flight; beyond it that client is read no further ' +
      'until replies have gone out.',
  },
  requestSizeMaxBytes: {
    name: 'request_size_max', type: size({ min: KIB, max: GIB }), fallback: 512 * MIB,
    reload: true,
    doc: 'The largest single argument of a request, as Redis\' proto-max-bulk-len; a larger one ' +
      'is answered with an error and the client closed.',
  },
  inlineSizeMaxBytes: {
    name: 'inline_size_max', type: size({ min: KIB, max: 256 * KIB }), fallback: 64 * KIB, reload: true,
    doc: 'The longest inline command; a longer one is answered with an error and the client ' +
      'closed.',
  },
  redis: {
    name: 'redis', type: flag, fallback: false, reload: true,
    fallbackNote: 'a memcached pool, which is not supported yet',
    doc: 'Says that servers and clients of this pool speak Redis; it must be true.',
  },
  redisAuth: {
    name: 'redis_auth', type: text('text', 'a password'), fallback: null, reload: true,
    fallbackNote: 'no password',
    doc: 'The password that Baton sends to the servers and that clients must send to Baton.',
  },
  redisDb: {
    name: 'redis_db', type: count(ANY_INT), fallback: 0, reload: true,
    doc: 'The database that is selected on every server.',
  },
  hash: {
    name: 'hash', type: choice(HASHES), fallback: 'fnv1a_64', reload: true,
    doc: 'The hash function of keys, byte for byte twemproxy\'s on x86-64.',
  },
  hashTag: {
    name: 'hash_tag', type: hashTag, fallback: null, reload: true,
    fallbackNote: 'whole keys are hashed',
    doc: 'Two characters: only the part of a key between them is hashed, so that keys with the ' +
      'same part live on one server.',
  },
  distribution: {
    name: 'distribution', type: choice(DISTRIBUTIONS), fallback: 'ketama', reload: true,
    doc: 'How a hash picks a server: ketama by consistent hashing over names and weights, modula ' +
      'by hash modulo total weight, random without looking at the key.',
  },
  timeoutMs: {
    name: 'timeout', type: time('ms', ANY_INT), fallback: 0, reload: true,
    fallbackNote: 'none',
    doc: 'How long after its arrival a request may go unanswered before the client gets an ' +
      'error; 0 is for ever.',
  },
  connectTimeoutMs: {
    name: 'connect_timeout', type: time('ms', { min: 1, max: HOUR }), fallback: 1000, reload: true,
    doc: 'How long connecting to a server may take before it counts as failed.',
  },
  reconnectMinMs: {
    name: 'reconnect_min', type: time('ms', { min: 1, max: HOUR }), fallback: 50, reload: true,
    doc: 'The pause before the first new attempt to connect to a server; it doubles with each ' +
      'failure, with some chance mixed in.',
  },
  reconnectMaxMs: {
    name: 'reconnect_max', type: time('ms', { min: 1, max: HOUR }), fallback: 5000, reload: true,
    doc: 'The longest pause between attempts to connect to a server; not below reconnect_min.',
  },
  preconnect: {
    name: 'preconnect', type: flag, fallback: false, reload: true,
    doc: 'Connects to all servers at start rather than at the first request.',
  },
  serverConnections: {
    name: 'server_connections', type: count({ min: 1, max: 1024 }), fallback: 1, reload: true,
    doc: 'Links to each server from each lane; with more than 1, requests that a client ' +
      'sends without waiting for replies may overtake each other.',
  },
  serverConnectionsScope: {
    name: 'server_connections_scope', type: choice(CONNECTIONS_SCOPES), fallback: 'worker',
    reload: true,
    doc: 'Whether each worker has server_connections of its own to each server, or all workers ' +
      'share them: then one worker has them, and the others\' requests travel there.',
  },
  linkQueueLimitBytes: {
    name: 'link_queue_limit', type: size({ min: 64 * KIB, max: GIB }), fallback: 64 * MIB,
    reload: true,
    doc: 'The most request bytes that wait for one server in one lane; beyond it the clients ' +
      'that send to it are read no further until some have gone out.',
  },
  autoEjectHosts: {
    name: 'auto_eject_hosts', type: flag, fallback: false, reload: true,
    doc: 'Takes a server that keeps failing out of the distribution until it is retried.',
  },
  serverFailureLimit: {
    name: 'server_failure_limit', type: failureLimit, fallback: 2, reload: true,
    doc: 'Failures in a row after which auto_eject_hosts takes a server out; 0 is taken as 1.',
  },
  serverRetryTimeoutMs: {
    name: 'server_retry_timeout', type: time('ms', ANY_INT), fallback: 30_000, reload: true,
    doc: 'How long an ejected server stays out before it is tried again.',
  },
  servers: {
    name: 'servers', type: serverList, fallback: REQUIRED, reload: true,
    doc: 'The Redis servers that share the keys of this pool; the name, not the address, is what ' +
      'ketama hashes.',
  },
};

export type Scope = 'global' | 'pool';

/** A row without its value's type, as code sees it that treats all rows alike. */
export interface AnyDirective {
  readonly scope: Scope;
  readonly field: string;
  readonly name: string;
  readonly type: ScalarType<unknown> | ListType<unknown>;
  readonly fallback: unknown;
  readonly reload: boolean;
  readonly doc: string;
  readonly fallbackNote?: string;
}

function rowsOf(scope: Scope, table: object): AnyDirective[] {
  const rows = Object.entries(table) as [string, Omit<AnyDirective, 'scope' | 'field'>][];
  return rows.map(([field, row]) => ({ scope, field, ...row }));
}

const DIRECTIVES: { readonly [S in Scope]: readonly AnyDirective[] } = {
  global: rowsOf('global', GLOBAL_DIRECTIVES),
  pool: rowsOf('pool', POOL_DIRECTIVES),
};

/** The directives of a scope, in the order of the table. */
export function directivesOf(scope: Scope): readonly AnyDirective[] {
  return DIRECTIVES[scope];
}

export function findDirective(scope: Scope, name: string): AnyDirective | undefined {
  return DIRECTIVES[scope].find((directive) => directive.name === name);
}

/** The default as it would be written in the file, or `required`. */
export function printFallback({ type, fallback, fallbackNote }: AnyDirective): string {
  if (fallback === REQUIRED || type.kind === 'list') return 'required';
  const written = type.print(fallback) || '""';
  return fallbackNote === undefined ? written : `${written} (${fallbackNote})`;
}
