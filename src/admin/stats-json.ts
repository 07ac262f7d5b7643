/**
 * twemproxy's statistics: one line of JSON, its keys, their order and its spacing to the byte, so
 * that what reads a nutcracker's port reads ours. (`nutcracker -D` describes the fields.)
 *
 *   {"service":…, …, "POOL": {"client_eof":…, …, "SERVER": {…},"SERVER": {…}},"POOL": {…}}
 *
 * The text is put together by hand: in an object a pool named "1" would move to the front.
 */
import type { PoolSnapshot, ServerSnapshot, Snapshot } from './snapshot.js';

type Field = readonly [key: string, value: number | string];

/** Ends with a line feed. */
export function statsJson(snapshot: Snapshot): string {
  const { totals } = snapshot;
  const head = fields([
    ['service', 'baton'],
    ['source', snapshot.host],
    ['version', snapshot.version],
    ['uptime', snapshot.uptimeSeconds],
    ['timestamp', Math.floor(snapshot.atMs / 1000)],
    ['total_connections', totals.accepted + totals.connects],
    ['curr_connections', totals.clients + totals.links],
  ]);
  return `{${[head, objects(snapshot.pools, poolFields)].filter(Boolean).join(', ')}}\n`;
}

function poolFields(pool: PoolSnapshot): string {
  const own = fields([
    ['client_eof', pool.clientEof],
    ['client_err', pool.clientErrors],
    ['client_connections', pool.clients],
    ['server_ejects', pool.ejections],
    ['forward_error', pool.forwardErrors],
    ['fragments', pool.fragments],
  ]);
  return [own, objects(pool.servers, serverFields)].filter(Boolean).join(', ');
}

/**
 * twemproxy has two queues per server: not yet sent (in) and without a reply (out). We count the
 * requests of both together and the unsent bytes exactly; the split of the requests and the bytes
 * without a reply follow from the mean size of a request.
 */
function serverFields(server: ServerSnapshot): string {
  const meanBytes = server.requests > 0 ? server.requestBytes / server.requests : 0;
  const unsent = meanBytes > 0
    ? Math.min(server.owed, Math.ceil(server.unsentBytes / meanBytes)) : 0;
  const waiting = server.owed - unsent;
  return fields([
    ['server_eof', server.eof],
    ['server_err', server.errors],
    ['server_timedout', server.timeouts],
    ['server_connections', server.connections],
    ['server_ejected_at', server.ejectedAtUs],
    ['requests', server.requests],
    ['request_bytes', server.requestBytes],
    ['responses', server.responses],
    ['response_bytes', server.responseBytes],
    ['in_queue', unsent],
    ['in_queue_bytes', server.unsentBytes],
    ['out_queue', waiting],
    ['out_queue_bytes', Math.round(waiting * meanBytes)],
  ]);
}

function fields(list: readonly Field[]): string {
  return list.map(([key, value]) =>
    `"${key}":${typeof value === 'number' ? Math.trunc(value) : JSON.stringify(value)}`).join(', ');
}

function objects<T extends { readonly name: string }>(
  list: readonly T[], inner: (each: T) => string,
): string {
  return list.map((each) => `${JSON.stringify(each.name)}: {${inner(each)}}`).join(',');
}
