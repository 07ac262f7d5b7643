/**
 * The tables of layout.ts that only count: one writer each, the lane's owner; float64 throughout,
 * summed over lanes when somebody reads (docs/adr/0009).
 */
import { table } from './schema.js';

export const laneCounter = table('lane_counter', 'lane', 256, 'Counts of the lane as a whole.', [
  ['turns', 'f64', 'turns'],
  ['accepts', 'f64', 'connections accepted'],
  ['accept_errors', 'f64', 'accepts that failed (EMFILE and the like)'],
  ['sleeps', 'f64', 'times the lane waited'],
  ['receives', 'f64', 'recv calls'],
  ['sends', 'f64', 'send calls'],
  ['images', 'f64', 'before-images written'],
  ['pool_full', 'f64', 'times the chunk pool had nothing left'],
  ['stalls', 'f64', 'times a session was stalled on a full link queue'],
  ['poisoned', 'f64', 'requests and replies given up because workers died of them'],
  ['rows_damaged', 'f64', 'sessions and links closed because their rows were damaged'],
  ['cold_starts', 'f64', 'times the lane began anew because it was damaged as a whole'],
  ['messages_sent', 'f64', 'messages to other lanes and the master'],
  ['messages_received', 'f64', 'messages of other lanes and the master'],
  ['bells_rung', 'f64', 'times another lane was woken for them'],
]);

export const poolCounter = table('pool_counter', 'lane', 256, 'Counts per pool.', [
  ['client_connections', 'f64', 'sessions now'],
  ['accepted', 'f64', 'sessions ever'],
  ['client_eof', 'f64', 'closed by the client'],
  ['client_err', 'f64', 'closed by a socket error'],
  ['requests', 'f64', 'requests framed'],
  ['replies', 'f64', 'replies delivered'],
  ['bytes_in', 'f64', 'bytes from clients'],
  ['bytes_out', 'f64', 'bytes to clients'],
  ['forward_error', 'f64', 'requests answered with an error because of a server'],
  ['fragments', 'f64', 'parts of split requests'],
  ['local', 'f64', 'requests answered by the proxy'],
  ['error_protocol', 'f64', 'sessions closed: broken framing'],
  ['error_unknown', 'f64', 'unknown command or wrong arity'],
  ['error_refused', 'f64', 'command not supported here'],
  ['error_crossslot', 'f64', 'keys on several servers'],
  ['error_auth', 'f64', 'NOAUTH, WRONGPASS'],
  ['error_timeout', 'f64', 'requests timed out'],
  ['refused_clients', 'f64', 'connections refused: client_connections reached'],
  ['closed_output', 'f64', 'sessions closed: client_output_limit'],
  ['closed_request', 'f64', 'sessions closed: request or inline too long'],
  ['stalled', 'f64', 'times a session was stalled'],
]);

export const backendCounter = table('backend_counter', 'lane', 192, 'Counts per server.', [
  ['connections', 'f64', 'links open now'],
  ['connects', 'f64', 'connects tried'],
  ['server_eof', 'f64', 'links closed by the server'],
  ['server_err', 'f64', 'links lost by an error, connects failed'],
  ['server_timedout', 'f64', 'requests timed out'],
  ['requests', 'f64', 'requests queued'],
  ['request_bytes', 'f64', 'their bytes'],
  ['responses', 'f64', 'replies received'],
  ['response_bytes', 'f64', 'their bytes'],
  ['in_queue', 'f64', 'requests whose reply is owed, now'],
  ['in_queue_bytes', 'f64', 'bytes queued, not yet sent, now'],
  ['failures', 'f64', 'failures in a row since the last good reply; the master ejects by it'],
  ['failures_total', 'f64', 'failures ever'],
  ['late', 'f64', 'replies that came after their request timed out or its client left'],
]);

export const commandCounter = table('command_counter', 'lane', 24, 'Counts per command.', [
  ['calls', 'f64', 'requests'],
  ['errors', 'f64', 'error replies'],
  ['usec', 'f64', 'time from arrival to delivery, summed'],
]);

/** Buckets of a latency histogram: log-linear, 8 per power of two, see src/tables/histogram.ts. */
export const HISTOGRAM_BUCKETS = 224;

export const histogram = table('histogram', 'lane', HISTOGRAM_BUCKETS * 8, 'Latency, arrival to delivery: pools by id, behind them backends by id.', [
  ['bucket', 'f64', 'requests whose latency fell in the bucket', HISTOGRAM_BUCKETS],
]);
