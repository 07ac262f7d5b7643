/**
 * The configuration as the rest of Baton sees it: resolved, checked, plain JSON.
 *
 * Every default is filled in, every unit is gone: times are milliseconds, sizes are bytes, and the
 * names say so. `null` means "not set". Addresses also keep their text as the operator wrote it,
 * because that is what he looks for in statistics and logs. Pools, and the servers of a pool, are
 * in twemproxy's order (shorter name first, then bytes), which is the index order of modula.
 *
 * Lines are those of the file that was read: `line` where a pool or server begins, `lines` where
 * each written directive stands (a directive left to its default has none).
 */

export interface TcpAddress {
  kind: 'tcp';
  host: string;  // a name or an address; IPv6 without brackets
  port: number;  // 1 to 65535
  text: string;  // as written, without weight and name
}

export interface UnixAddress {
  kind: 'unix';
  path: string;
  mode?: number; // permissions of a listening socket, when given
  text: string;
}

export type ListenAddress = TcpAddress | UnixAddress;
export type ServerAddress = TcpAddress | UnixAddress;

export const HASHES = [
  'one_at_a_time', 'md5', 'crc16', 'crc32', 'crc32a', 'fnv1_64', 'fnv1a_64', 'fnv1_32',
  'fnv1a_32', 'hsieh', 'murmur', 'jenkins',
] as const;
export type HashName = (typeof HASHES)[number];

export const DISTRIBUTIONS = ['ketama', 'modula', 'random'] as const;
export type DistributionName = (typeof DISTRIBUTIONS)[number];

/** Who has connections to servers of its own: each worker, or all together. */
export const CONNECTIONS_SCOPES = ['worker', 'proxy'] as const;
export type ConnectionsScope = (typeof CONNECTIONS_SCOPES)[number];

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Directive name → line of the file it is written on. */
export type Lines = { [directive: string]: number };

/** One field per directive of the global scope. */
export interface GlobalValues {
  workerProcesses: number | 'auto';
  workerCpuAffinity: 'off' | 'auto' | number[][]; // cores of worker i at index i modulo the length
  workerStandby: number;
  workerShutdownTimeoutMs: number;
  workerHangTimeoutMs: number;                    // 0: nobody looks
  upgradeCanaryMs: number;
  upgradeWindowMs: number;
  orphanTimeoutMs: number;
  user: string | null;
  group: string | null;
  maxOpenfiles: number;                           // 0: as many as the hard limit allows
  log: string | null;                             // null: standard error
  logLevel: LogLevel;
  crashDir: string | null;                        // null: reports go to standard error
  pid: string | null;
  stats: TcpAddress | null;
  statsIntervalMs: number;
  metrics: TcpAddress | null;
  shmMaxBytes: number;
}

export interface GlobalSettings extends GlobalValues {
  lines: Lines;
}

export interface ServerSettings {
  name: string;
  address: ServerAddress;
  weight: number;
  line: number;
}

/** One field per directive of the pool scope. */
export interface PoolValues {
  listen: ListenAddress;
  reuseport: boolean;
  backlog: number;
  tcpkeepalive: boolean;
  clientConnections: number;      // 0: no limit of this pool's own
  clientOutputLimitBytes: number;
  clientRequestsMax: number;
  requestSizeMaxBytes: number;
  inlineSizeMaxBytes: number;
  redis: boolean;                 // always true in settings that were accepted
  redisAuth: string | null;
  redisDb: number;
  hash: HashName;
  hashTag: string | null;         // two characters
  distribution: DistributionName;
  timeoutMs: number;              // 0: none
  connectTimeoutMs: number;
  reconnectMinMs: number;
  reconnectMaxMs: number;
  preconnect: boolean;
  serverConnections: number;      // links per server and lane, or per server
  serverConnectionsScope: ConnectionsScope;
  linkQueueLimitBytes: number;
  autoEjectHosts: boolean;
  serverFailureLimit: number;
  serverRetryTimeoutMs: number;
  servers: ServerSettings[];
}

export interface PoolSettings extends PoolValues {
  name: string;
  line: number;
  lines: Lines;
}

export interface Settings {
  file: string;
  global: GlobalSettings;
  pools: PoolSettings[];
}

/** A deep copy in which nothing tells where it was read: equal copies behave the same. */
export function withoutSource(settings: Settings): Settings {
  const copy = structuredClone(settings);
  copy.file = '';
  copy.global.lines = {};
  for (const pool of copy.pools) {
    pool.line = 0;
    pool.lines = {};
    for (const server of pool.servers) server.line = 0;
  }
  return copy;
}
