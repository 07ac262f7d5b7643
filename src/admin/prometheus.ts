/**
 * Prometheus' text exposition format 0.0.4, written by hand: a table of metrics per kind of thing,
 * each a name, a type, a help text and what to read from the snapshot.
 *
 * Times are seconds, sizes bytes. Latency histograms have a bucket per power of two of a
 * microsecond: an eighth of what is counted, whose bounds are exact.
 */
import { bucketOfPower, count, sum } from '../tables/histogram.js';
import type {
  CommandSnapshot, Errors, LaneSnapshot, Latency, PoolSnapshot, ServerSnapshot, Snapshot,
} from './snapshot.js';

export const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

type MetricType = 'counter' | 'gauge';
type Labels = readonly (readonly [name: string, value: string])[];
type Metric<T> = readonly [name: string, type: MetricType, help: string, value: (of: T) => number];
interface Labelled<T> { readonly labels: Labels; readonly of: T }

/** Bounds of the latency buckets: 16 µs to 67 s. */
const FIRST_POWER = 4;
const LAST_POWER = 26;

const instanceMetrics: readonly Metric<Snapshot>[] = [
  ['start_time_seconds', 'gauge', 'When the instance started, seconds since 1970.',
    (s) => s.startedAtMs / 1000],
  ['uptime_seconds', 'gauge', 'Time since the instance started.', (s) => s.uptimeSeconds],
  ['shm_allocated_bytes', 'gauge', 'Shared memory in use: tables, lanes and buffers.',
    (s) => s.shm.allocatedBytes],
  ['shm_reserved_bytes', 'gauge', 'Address space reserved for shared memory.',
    (s) => s.shm.reservedBytes],
  ['shm_pool_bytes', 'gauge', 'Shared memory held for buffers.', (s) => s.shm.poolBytes],
  ['shm_pool_max_bytes', 'gauge', 'The most that buffers may hold: shm_max.',
    (s) => s.shm.poolMaxBytes],
  ['crash_survival', 'gauge', '1 while every lane has a keeper: connections survive deaths.',
    (s) => Number(s.lanes.every((lane) => lane.hasKeeper))],
  ['clients', 'gauge', 'Client connections.', (s) => s.totals.clients],
  ['client_connections_total', 'counter', 'Client connections accepted.', (s) => s.totals.accepted],
  ['server_links', 'gauge', 'Connections to servers.', (s) => s.totals.links],
];

const laneMetrics: readonly Metric<LaneSnapshot>[] = [
  ['lane_up', 'gauge', '1 while a worker serves the lane.', (l) => Number(l.state === 'serving')],
  ['lane_restarts', 'gauge', 'Workers that died on the lane.', (l) => l.restarts],
  ['lane_takeovers_total', 'counter', 'Times another worker took the lane over.',
    (l) => l.takeovers],
  ['lane_takeover_pause_seconds', 'gauge', 'How long the last takeover paused the lane.',
    (l) => l.pauseUs / 1e6],
  ['lane_sessions', 'gauge', 'Client connections of the lane.', (l) => l.sessions],
  ['lane_links', 'gauge', 'Server connections of the lane.', (l) => l.links],
  ['lane_requests_in_flight', 'gauge', 'Requests without a complete reply.',
    (l) => l.requestsInFlight],
  ['lane_nodes', 'gauge', 'Buffer nodes in use.', (l) => l.nodesUsed],
  ['lane_chunks', 'gauge', 'Buffer chunks in use.', (l) => l.chunksUsed],
  ['lane_sleeping', 'gauge', '1 while the worker waits for work.', (l) => Number(l.sleeping)],
  ['lane_turns_total', 'counter', 'Turns of the event loop.', (l) => l.turns],
  ['lane_accepts_total', 'counter', 'Connections accepted.', (l) => l.accepts],
  ['lane_accept_errors_total', 'counter', 'Accepts that failed.', (l) => l.acceptErrors],
  ['lane_sleeps_total', 'counter', 'Times the worker waited for work.', (l) => l.sleeps],
  ['lane_receives_total', 'counter', 'Receive calls.', (l) => l.receives],
  ['lane_sends_total', 'counter', 'Send calls.', (l) => l.sends],
  ['lane_images_total', 'counter', 'Before-images written to the journal.', (l) => l.images],
  ['lane_pool_full_total', 'counter', 'Times no buffer was left.', (l) => l.poolFull],
  ['lane_stalls_total', 'counter', 'Times a client waited for a full server queue.',
    (l) => l.stalls],
  ['lane_poisoned_total', 'counter', 'Requests and replies given up because workers died of them.',
    (l) => l.poisoned],
  ['lane_rows_damaged_total', 'counter', 'Clients and links closed because their rows were damaged.',
    (l) => l.rowsDamaged],
  ['lane_cold_starts_total', 'counter', 'Times the lane began anew because it was damaged.',
    (l) => l.coldStarts],
  ['lane_messages_sent_total', 'counter', 'Messages to other workers.', (l) => l.messagesSent],
  ['lane_messages_received_total', 'counter', 'Messages of other workers.',
    (l) => l.messagesReceived],
  ['lane_bells_rung_total', 'counter', 'Times another worker was woken for a message.',
    (l) => l.bellsRung],
];

const poolMetrics: readonly Metric<PoolSnapshot>[] = [
  ['pool_clients', 'gauge', 'Client connections.', (p) => p.clients],
  ['pool_connections_total', 'counter', 'Client connections accepted.', (p) => p.accepted],
  ['pool_client_eof_total', 'counter', 'Connections closed by the client.', (p) => p.clientEof],
  ['pool_client_errors_total', 'counter', 'Connections lost by a socket error.',
    (p) => p.clientErrors],
  ['pool_requests_total', 'counter', 'Requests received.', (p) => p.requests],
  ['pool_replies_total', 'counter', 'Replies delivered.', (p) => p.replies],
  ['pool_received_bytes_total', 'counter', 'Bytes from clients.', (p) => p.bytesIn],
  ['pool_sent_bytes_total', 'counter', 'Bytes to clients.', (p) => p.bytesOut],
  ['pool_fragments_total', 'counter', 'Parts that split requests were cut into.',
    (p) => p.fragments],
  ['pool_local_replies_total', 'counter', 'Requests answered by the proxy itself.',
    (p) => p.local],
  ['pool_stalls_total', 'counter', 'Times a client waited for a full server queue.',
    (p) => p.stalls],
  ['pool_server_ejections_total', 'counter', 'Times a server was ejected.', (p) => p.ejections],
];

const serverMetrics: readonly Metric<ServerSnapshot>[] = [
  ['server_live', 'gauge', '0 while the server is ejected.', (s) => Number(s.live)],
  ['server_connections', 'gauge', 'Connections to the server.', (s) => s.connections],
  ['server_connects_total', 'counter', 'Connects tried.', (s) => s.connects],
  ['server_eof_total', 'counter', 'Connections closed by the server.', (s) => s.eof],
  ['server_errors_total', 'counter', 'Connections lost by an error, connects that failed.',
    (s) => s.errors],
  ['server_timeouts_total', 'counter', 'Requests timed out.', (s) => s.timeouts],
  ['server_requests_total', 'counter', 'Requests queued to the server.', (s) => s.requests],
  ['server_request_bytes_total', 'counter', 'Bytes of these requests.', (s) => s.requestBytes],
  ['server_responses_total', 'counter', 'Replies received.', (s) => s.responses],
  ['server_response_bytes_total', 'counter', 'Bytes of these replies.', (s) => s.responseBytes],
  ['server_requests_owed', 'gauge', 'Requests queued or sent whose reply is owed.', (s) => s.owed],
  ['server_unsent_bytes', 'gauge', 'Bytes queued, not yet sent.', (s) => s.unsentBytes],
  ['server_failures_in_row', 'gauge', 'Failures since the last good reply.',
    (s) => s.failuresInRow],
  ['server_failures_total', 'counter', 'Failures that count towards an ejection.',
    (s) => s.failures],
  ['server_late_replies_total', 'counter', 'Replies that nobody waited for any more.',
    (s) => s.late],
  ['server_ejections_total', 'counter', 'Times ejected.', (s) => s.ejections],
  ['server_ejected_at_seconds', 'gauge', 'Last ejection, seconds since 1970; 0 = never.',
    (s) => s.ejectedAtUs / 1e6],
];

const commandMetrics: readonly Metric<CommandSnapshot>[] = [
  ['command_calls_total', 'counter', 'Requests by command.', (c) => c.calls],
  ['command_errors_total', 'counter', 'Error replies by command.', (c) => c.errors],
  ['command_seconds_total', 'counter', 'Time from arrival to delivery by command.',
    (c) => c.usec / 1e6],
];

const ERROR_KINDS: Readonly<Record<keyof Errors, string>> = {
  protocol: 'protocol', unknown: 'unknown', refused: 'refused', crossslot: 'crossslot',
  auth: 'auth', timeout: 'timeout', server: 'server', clientLimit: 'client_limit',
  outputLimit: 'output_limit', requestLimit: 'request_limit',
};

/** The answer to a scrape. */
export function prometheusText(snapshot: Snapshot): string {
  const lines: string[] = [];
  const pools = snapshot.pools.map((pool): Labelled<PoolSnapshot> =>
    ({ labels: [['pool', pool.name]], of: pool }));
  const servers = pools.flatMap(({ labels, of }) => of.servers.map(
    (server): Labelled<ServerSnapshot> =>
      ({ labels: [...labels, ['server', server.name]], of: server }),
  ));
  const { version, redisVersion } = snapshot;
  head(lines, 'build_info', 'gauge', 'Always 1; the versions are labels.');
  lines.push(sample('build_info', [['version', version], ['redis_version', redisVersion]], 1));
  write(lines, instanceMetrics, [{ labels: [], of: snapshot }]);
  write(lines, laneMetrics, snapshot.lanes.map((lane) =>
    ({ labels: [['lane', String(lane.lane)]], of: lane })));
  write(lines, poolMetrics, pools);
  writeErrors(lines, pools);
  write(lines, serverMetrics, servers);
  write(lines, commandMetrics, snapshot.commands.map((command) =>
    ({ labels: [['command', command.name]], of: command })));
  writeLatency(lines, 'pool_latency_seconds', pools);
  writeLatency(lines, 'server_latency_seconds', servers);
  return `${lines.join('\n')}\n`;
}

function write<T>(
  lines: string[], metrics: readonly Metric<T>[], things: readonly Labelled<T>[],
): void {
  if (things.length === 0) return;
  for (const [name, type, help, value] of metrics) {
    head(lines, name, type, help);
    for (const { labels, of } of things) lines.push(sample(name, labels, value(of)));
  }
}

function writeErrors(lines: string[], pools: readonly Labelled<PoolSnapshot>[]): void {
  if (pools.length === 0) return;
  const name = 'pool_errors_total';
  head(lines, name, 'counter', 'Error replies, connections refused or closed, by kind.');
  for (const { labels, of } of pools) {
    for (const [key, kind] of Object.entries(ERROR_KINDS)) {
      lines.push(sample(name, [...labels, ['kind', kind]], of.errors[key as keyof Errors]));
    }
  }
}

function writeLatency(
  lines: string[], name: string, things: readonly Labelled<{ readonly latency: Latency }>[],
): void {
  if (things.length === 0) return;
  head(lines, name, 'histogram', 'From a request\'s arrival to the delivery of its reply.');
  for (const { labels, of: { latency: { buckets } } } of things) {
    let [below, bucket] = [0, 0];
    for (let power = FIRST_POWER; power <= LAST_POWER; power++) {
      for (const end = bucketOfPower(power); bucket < end; bucket++) below += buckets[bucket];
      const bound = String(2 ** power / 1e6);
      lines.push(sample(`${name}_bucket`, [...labels, ['le', bound]], below));
    }
    const all = count(buckets);
    lines.push(sample(`${name}_bucket`, [...labels, ['le', '+Inf']], all));
    lines.push(sample(`${name}_sum`, labels, sum(buckets) / 1e6));
    lines.push(sample(`${name}_count`, labels, all));
  }
}

function head(lines: string[], name: string, type: MetricType | 'histogram', help: string): void {
  lines.push(`# HELP baton_${name} ${help}`, `# TYPE baton_${name} ${type}`);
}

function sample(name: string, labels: Labels, value: number): string {
  const inner = labels.map(([label, text]) => `${label}="${escape(text)}"`).join(',');
  return `baton_${name}${inner === '' ? '' : `{${inner}}`} ${value}`;
}

function escape(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
}
