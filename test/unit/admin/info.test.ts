/** INFO's fields by section, in the forms that clients parse. */
import t from 'tap';
import { infoFields } from '../../../src/admin/info.js';
import { sampleSnapshot } from './sample.js';
import { numbered } from '../tables/fake-instance.js';

const SECTIONS = [
  'server', 'clients', 'memory', 'stats', 'errorstats', 'commandstats', 'latencystats', 'proxy',
  'pools',
];

function fieldsOf(section: string): Map<string, string | number> {
  return new Map(infoFields(sampleSnapshot(), section));
}

t.test('every section has fields of a form that stays on its line', async (t) => {
  for (const section of SECTIONS) {
    const fields = infoFields(sampleSnapshot(), section);
    t.ok(fields.length > 0, section);
    for (const [name, value] of fields) {
      t.match(name, /^[a-z0-9_|]+$|^errorstat_[A-Z]+$/);
      t.match(String(value), /^[^\r\n]+$/);
    }
    t.equal(new Map(fields).size, fields.length, 'no name twice');
  }
});

t.test('sections in which the proxy has nothing to say', async (t) => {
  for (const section of ['keyspace', 'replication', 'nonsense', '', 'toString', '__proto__']) {
    t.same(infoFields(sampleSnapshot(), section), []);
  }
});

t.test('values', async (t) => {
  t.same(infoFields(sampleSnapshot(), 'server'), [
    ['process_id', 4321], ['server_time_usec', 1_700_090_061_500_000],
    ['uptime_in_seconds', 90_061], ['uptime_in_days', 1],
  ]);
  t.equal(fieldsOf('clients').get('connected_clients'), 9);
  const memory = fieldsOf('memory');
  t.equal(memory.get('pool_bytes'), 262_144);
  t.equal(memory.get('pool_bytes_human'), '256.00K');
  t.equal(memory.get('pool_bytes_max_human'), '1.00M');
  const stats = fieldsOf('stats');
  t.equal(stats.get('total_commands_processed'), 3000);
  t.equal(stats.get('total_connections_received'), 15);
  t.equal(stats.get('rejected_connections'), 18);
  t.equal(stats.get('total_error_replies'), 15);
});

t.test('workers and pools', async (t) => {
  const proxy = fieldsOf('proxy');
  t.equal(proxy.get('worker_processes'), 2);
  t.match(proxy.get('worker1'), /^pid=101,state=serving,sessions=6,/);
  const pools = fieldsOf('pools');
  t.same([...pools.keys()], ['pool0', 'pool0_server0', 'pool0_server1', 'pool1', 'pool1_server0']);
  t.match(pools.get('pool0'), /^name=alpha,clients=9,requests=3000,/);
  t.match(pools.get('pool0_server1'), /^name=127\.0\.0\.1-6372,state=ejected,/);
});

t.test('errors that happened, by Redis\' names', async (t) => {
  t.same(infoFields(sampleSnapshot(), 'errorstats'), [
    ['errorstat_CROSSSLOT', 'count=3'], ['errorstat_SERVER', 'count=12'],
    ['errorstat_MAXCLIENTS', 'count=18'],
  ]);
});

t.test('command statistics look like Redis\'', async (t) => {
  t.same(infoFields(sampleSnapshot(), 'commandstats'), [
    ['cmdstat_get', 'calls=300,usec=13500,usec_per_call=45.00,rejected_calls=0,failed_calls=0'],
    ['cmdstat_client|id', 'calls=3,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=3'],
  ]);
});

t.test('latencies look like Redis\'', async (t) => {
  const lines = fieldsOf('latencystats');
  t.same([...lines.keys()], [
    'latency_percentiles_usec_pool0', 'latency_percentiles_usec_pool0_server0',
    'latency_percentiles_usec_pool0_server1', 'latency_percentiles_usec_pool1',
    'latency_percentiles_usec_pool1_server0',
  ]);
  t.match(lines.get('latency_percentiles_usec_pool0'),
    /^p50=2[01]\.\d{3},p99=\d+\.\d{3},p99\.9=\d+\.\d{3}$/);
  t.equal(lines.get('latency_percentiles_usec_pool1'), 'p50=0.000,p99=0.000,p99.9=0.000');
});

t.test('names cannot break lines or pairs', async (t) => {
  const pool = { name: 'a,b=c\r\nd e', servers: [{ name: '[::1]:6379' }] };
  const snapshot = sampleSnapshot(numbered([pool]));
  const pools = new Map(infoFields(snapshot, 'pools'));
  t.match(pools.get('pool0'), /^name=a_b_c__d_e,clients=/);
  t.match(pools.get('pool0_server0'), /^name=\[::1\]:6379,state=live,/);
});
