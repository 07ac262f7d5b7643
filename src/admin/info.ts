/**
 * What INFO answers over RESP: for each section the fields that change, under Redis' names wherever
 * the proxy has something to say there, and sections of our own for the workers and the pools.
 * (src/proxy/local-info.ts knows the sections' order and the fields that never change.)
 *
 * Pool and server names stand in values (`pool0:name=…`), as Redis writes replicas, because they
 * may hold colons. Latencies are kept per pool and server, not per command.
 */
import type { Errors, Latency, PoolSnapshot, Snapshot } from './snapshot.js';

export type InfoField = readonly [name: string, value: string | number];

const SECTIONS: Readonly<Record<string, (snapshot: Snapshot) => InfoField[]>> = {
  server: serverFields,
  clients: clientFields,
  memory: memoryFields,
  stats: statsFields,
  errorstats: errorFields,
  commandstats: commandFields,
  latencystats: latencyFields,
  proxy: workerFields,
  pools: poolFields,
};

/** Redis' names for kinds of errors that it has too. */
const ERROR_NAMES: Readonly<Record<keyof Errors, string>> = {
  protocol: 'PROTOCOL', unknown: 'ERR', refused: 'REFUSED', crossslot: 'CROSSSLOT', auth: 'NOAUTH',
  timeout: 'TIMEOUT', server: 'SERVER', clientLimit: 'MAXCLIENTS', outputLimit: 'OUTPUTLIMIT',
  requestLimit: 'REQUESTLIMIT',
};

/** `section` in lower case; none for a section in which the proxy has nothing to say. */
export function infoFields(snapshot: Snapshot, section: string): readonly InfoField[] {
  return Object.hasOwn(SECTIONS, section) ? SECTIONS[section](snapshot) : [];
}

function serverFields(snapshot: Snapshot): InfoField[] {
  return [
    ['process_id', snapshot.masterPid],
    ['server_time_usec', Math.floor(snapshot.atMs * 1000)],
    ['uptime_in_seconds', snapshot.uptimeSeconds],
    ['uptime_in_days', Math.floor(snapshot.uptimeSeconds / 86_400)],
  ];
}

function clientFields({ totals }: Snapshot): InfoField[] {
  return [['connected_clients', totals.clients], ['blocked_clients', 0]];
}

function memoryFields({ shm }: Snapshot): InfoField[] {
  return [
    ['used_memory', shm.allocatedBytes],
    ['used_memory_human', humanBytes(shm.allocatedBytes)],
    ['pool_bytes', shm.poolBytes],
    ['pool_bytes_human', humanBytes(shm.poolBytes)],
    ['pool_bytes_max', shm.poolMaxBytes],
    ['pool_bytes_max_human', humanBytes(shm.poolMaxBytes)],
    ['reserved_bytes', shm.reservedBytes],
  ];
}

function statsFields({ totals }: Snapshot): InfoField[] {
  const { errors } = totals;
  const replies = errors.unknown + errors.refused + errors.crossslot + errors.auth + errors.server;
  return [
    ['total_connections_received', totals.accepted],
    ['total_commands_processed', totals.requests],
    ['total_replies_delivered', totals.replies],
    ['total_net_input_bytes', totals.bytesIn],
    ['total_net_output_bytes', totals.bytesOut],
    ['rejected_connections', errors.clientLimit],
    ['client_query_buffer_limit_disconnections', errors.requestLimit],
    ['client_output_buffer_limit_disconnections', errors.outputLimit],
    ['total_error_replies', replies],
  ];
}

function errorFields({ totals }: Snapshot): InfoField[] {
  return Object.entries(ERROR_NAMES)
    .map(([key, name]) => [name, totals.errors[key as keyof Errors]] as const)
    .filter(([, times]) => times > 0)
    .map(([name, times]) => [`errorstat_${name}`, `count=${times}`]);
}

function commandFields({ commands }: Snapshot): InfoField[] {
  return commands.map(({ name, calls, errors, usec }) => [`cmdstat_${name}`, pairs({
    calls, usec: Math.round(usec), usec_per_call: (calls > 0 ? usec / calls : 0).toFixed(2),
    rejected_calls: 0, failed_calls: errors,
  })]);
}

function latencyFields({ pools }: Snapshot): InfoField[] {
  return pools.flatMap((pool, index): InfoField[] => [
    [`latency_percentiles_usec_pool${index}`, percentiles(pool.latency)],
    ...pool.servers.map(({ latency }, at): InfoField =>
      [`latency_percentiles_usec_pool${index}_server${at}`, percentiles(latency)]),
  ]);
}

function workerFields({ lanes, totals }: Snapshot): InfoField[] {
  return [
    ['worker_processes', lanes.length],
    ['server_links', totals.links],
    ['crash_survival', Number(lanes.every(({ hasKeeper }) => hasKeeper))],
    ...lanes.map((lane): InfoField => [`worker${lane.lane}`, pairs({
      pid: lane.owner, state: lane.state, sessions: lane.sessions, links: lane.links,
      in_flight: lane.requestsInFlight, nodes: lane.nodesUsed, chunks: lane.chunksUsed,
      turns: lane.turns, restarts: lane.restarts, takeovers: lane.takeovers,
    })]),
  ];
}

function poolFields({ pools }: Snapshot): InfoField[] {
  return pools.flatMap((pool, index): InfoField[] => [
    [`pool${index}`, pairs({
      name: safe(pool.name), clients: pool.clients, requests: pool.requests,
      replies: pool.replies, bytes_in: pool.bytesIn, bytes_out: pool.bytesOut,
      fragments: pool.fragments, forward_errors: pool.forwardErrors, timeouts: pool.errors.timeout,
      ejections: pool.ejections, servers: pool.servers.length,
    })],
    ...serverFieldsOf(pool, index),
  ]);
}

function serverFieldsOf(pool: PoolSnapshot, index: number): InfoField[] {
  return pool.servers.map((server, at) => [`pool${index}_server${at}`, pairs({
    name: safe(server.name), state: server.live ? 'live' : 'ejected', links: server.connections,
    requests: server.requests, responses: server.responses, owed: server.owed,
    unsent_bytes: server.unsentBytes, errors: server.errors, timeouts: server.timeouts,
    late: server.late,
  })]);
}

function percentiles({ p50Us, p99Us, p999Us }: Latency): string {
  return pairs({ p50: p50Us.toFixed(3), p99: p99Us.toFixed(3), 'p99.9': p999Us.toFixed(3) });
}

function pairs(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values).map(([key, value]) => `${key}=${value}`).join(',');
}

/** A name may hold anything; a value may hold neither what parts pairs nor what ends lines. */
function safe(name: string): string {
  return name.replace(/[,=\s\p{Cc}]/gu, '_');
}

/** As Redis: 1.50M. */
function humanBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes}B`;
  const units = ['K', 'M', 'G', 'T', 'P'];
  const power = Math.min(Math.floor(Math.log2(bytes) / 10), units.length);
  return `${(bytes / 1024 ** power).toFixed(2)}${units[power - 1]}`;
}
