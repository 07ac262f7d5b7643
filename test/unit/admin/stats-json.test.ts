/** twemproxy's JSON: its keys, its order, its spacing. */
import t from 'tap';
import { statsJson } from '../../../src/admin/stats-json.js';
import { numbered, roster } from '../tables/fake-instance.js';
import { sampleSnapshot } from './sample.js';

const HEAD = [
  'service', 'source', 'version', 'uptime', 'timestamp', 'total_connections', 'curr_connections',
];
const POOL = [
  'client_eof', 'client_err', 'client_connections', 'server_ejects', 'forward_error', 'fragments',
];
const SERVER = [
  'server_eof', 'server_err', 'server_timedout', 'server_connections', 'server_ejected_at',
  'requests', 'request_bytes', 'responses', 'response_bytes', 'in_queue', 'in_queue_bytes',
  'out_queue', 'out_queue_bytes',
];

const ZEROS = (keys: readonly string[]): string => keys.map((key) => `"${key}":0`).join(', ');

/** What nutcracker 0.5.0 writes for the idle pools `a` (one) and `zz` (one, 127.0.0.1:6991). */
const NUTCRACKER = '{"service":"nutcracker", "source":"vm", "version":"0.5.0", "uptime":1, '
  + '"timestamp":1795196402, "total_connections":2, "curr_connections":2, '
  + `"a": {${ZEROS(POOL)}, "one": {${ZEROS(SERVER)}}},`
  + `"zz": {${ZEROS(POOL)}, "one": {${ZEROS(SERVER)}},"127.0.0.1:6991": {${ZEROS(SERVER)}}}}\n`;

/** Everything that is not a value: equal for equal pools. */
function shape(json: string): string {
  return json.replace(/:\d+/g, ':0').replace(/"(service|source|version)":"[^"]*"/g, '"$1":""');
}

t.test('keys and their order', async (t) => {
  const text = statsJson(sampleSnapshot());
  t.match(text, /^[^\n]+\n$/, 'one line');
  const parsed = JSON.parse(text);
  t.same(Object.keys(parsed), [...HEAD, 'alpha', 'b']);
  t.same(Object.keys(parsed.alpha), [...POOL, 'one', '127.0.0.1-6372']);
  t.same(Object.keys(parsed.alpha.one), SERVER);
  t.same(Object.keys(parsed.b), [...POOL, 'three']);
});

t.test('the text of a nutcracker with the same pools, but for the values', async (t) => {
  const pools = [
    { name: 'a', servers: [{ name: 'one' }] },
    { name: 'zz', servers: [{ name: 'one' }, { name: '127.0.0.1:6991' }] },
  ];
  t.equal(shape(statsJson(sampleSnapshot(numbered(pools)))), shape(NUTCRACKER));
});

t.test('values', async (t) => {
  const parsed = JSON.parse(statsJson(sampleSnapshot()));
  t.match(parsed, {
    service: 'baton', source: 'box', version: '0.1.0', uptime: 90_061, timestamp: 1_700_090_061,
    total_connections: 17, curr_connections: 11,
  });
  t.match(parsed.alpha, {
    client_eof: 6, client_err: 0, client_connections: 9, server_ejects: 2, forward_error: 12,
    fragments: 0,
  });
  t.match(parsed.alpha['127.0.0.1-6372'], {
    server_timedout: 21, server_ejected_at: 1_700_000_005_000_000,
  });
  // 15 requests owed, 240 bytes unsent, 40 bytes each: six of them are not sent yet.
  t.match(parsed.alpha.one, {
    requests: 1500, in_queue: 6, in_queue_bytes: 240, out_queue: 9, out_queue_bytes: 360,
  });
});

t.test('names keep their place and their characters, whatever they are', async (t) => {
  const order = statsJson(sampleSnapshot(roster('9: x', 'z": s', '1: s')));
  t.match(order, /"9": \{.*"z\\"": \{.*"1": \{/);
  const odd = statsJson(sampleSnapshot(roster('__proto__: 2 1', '中文: __proto__')));
  t.match(odd, /"__proto__": \{.*"2": \{.*"1": \{.*"中文": \{.*"__proto__": \{/);
  t.doesNotThrow(() => JSON.parse(odd));
});

t.test('a pool without servers', async (t) => {
  const text = statsJson(sampleSnapshot(roster('p:')));
  t.same(Object.keys(JSON.parse(text).p), POOL);
});
