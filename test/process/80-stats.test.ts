/**
 * Goal: the numbers an operator sees are right, in twemproxy's JSON, in Prometheus' text, in INFO.
 * Method: a counted load goes through a fresh Baton; every number that follows from it is compared,
 *   and the JSON's keys are compared with those of a real nutcracker.
 */
import t from 'tap';
import { connect } from 'node:net';
import { Baton, type Stats } from '../support/baton.js';
import { startNutcracker } from '../support/nutcracker.js';
import { Redis } from '../support/redis.js';
import { encode } from '../support/resp.js';
import { waitFor } from '../support/wait-for.js';

const servers = await Redis.startMany(t, 2);
const entries = servers.map((server, i) => `${server.entry} server${i}`);
const baton = await Baton.start(t, {
  servers: entries, pool: { hash: 'md5' }, global: { worker_processes: 2 },
});

type Numbers = Record<string, number>;

function keysOf(object: object): string[] {
  return Object.keys(object).filter((key) => !/^(alpha|server\d)$/.test(key)).sort();
}

function theirStats(port: number): Promise<Stats> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect(port, '127.0.0.1');
    socket.on('data', (bytes) => { text += bytes.toString(); });
    socket.on('end', () => resolve(JSON.parse(text) as Stats));
    socket.on('error', reject);
  });
}

t.test('the JSON has a nutcracker\'s keys', async (t) => {
  const ports = await startNutcracker(t, { alpha: { servers: entries } });
  const theirs = await theirStats(ports.stats!);
  const ours = await baton.stats();
  t.same(keysOf(ours), keysOf(theirs));
  const [ourPool, theirPool] = [ours.alpha as object, theirs.alpha as object];
  t.same(keysOf(ourPool), keysOf(theirPool));
  for (const name of ['server0', 'server1']) {
    const [our, their] = [ourPool, theirPool].map((pool) => (pool as Stats)[name] as object);
    t.same(keysOf(our!), keysOf(their!));
  }
});

t.test('the counts are those of what was sent', async (t) => {
  const clients = await Promise.all([0, 1, 2, 3].map(() => baton.client()));
  const before = await baton.metrics();
  for (const client of clients) {
    await client.pipeline([
      ...Array.from({ length: 100 }, (_, i) => ['SET', `stat${i}`, 'x']),
      ...Array.from({ length: 50 }, (_, i) => ['GET', `stat${i}`]),
      ['INCR', 'stat1'], ['INCR', 'stat2'], ['NOSUCH'], ['GET'], ['BLPOP', 'a', '0'], ['PING'],
      ['MGET', ...Array.from({ length: 60 }, (_, i) => `stat${i}`)],
    ]);
  }
  const after = await baton.metrics();
  const grown = (name: string, ...labels: string[]): number => {
    let sum = 0;
    for (const [sample, value] of after) {
      const isIt = (sample === name || sample.startsWith(`${name}{`))
        && labels.every((label) => sample.includes(label));
      if (isIt) sum += value - (before.get(sample) ?? 0);
    }
    return sum;
  };
  t.equal(grown('baton_command_calls_total', 'command="set"'), 400);
  t.equal(grown('baton_command_calls_total', 'command="get"'), 200);
  t.equal(grown('baton_command_calls_total', 'command="incr"'), 8);
  t.equal(grown('baton_command_errors_total', 'command="incr"'), 8);
  t.equal(grown('baton_command_calls_total', 'command="mget"'), 4);
  t.equal(grown('baton_pool_requests_total', 'pool="alpha"'), 4 * 157);
  t.equal(grown('baton_pool_replies_total', 'pool="alpha"'), 4 * 157);
  t.equal(grown('baton_pool_fragments_total'), 8, 'MGET went to both servers');
  t.equal(grown('baton_pool_errors_total', 'unknown'), 8, 'NOSUCH, and GET without a key');
  t.equal(grown('baton_pool_errors_total', 'refused'), 4);
  t.equal(grown('baton_server_requests_total'), 400 + 200 + 8 + 8);
  t.equal(grown('baton_server_responses_total'), 400 + 200 + 8 + 8);
  t.equal(grown('baton_server_requests_total', 'server0') > 0, true);
});

t.test('bytes are counted exactly', async (t) => {
  const client = await baton.client();
  const sum = async (): Promise<number[]> =>
    [await baton.metric('baton_pool_received_bytes_total'),
      await baton.metric('baton_pool_sent_bytes_total')];
  const [inBefore, outBefore] = await sum() as [number, number];
  const requests = [['SET', 'bytes', 'x'.repeat(1000)], ['GET', 'bytes'], ['PING']];
  const replies = await client.pipeline(requests);
  const sent = requests.reduce((total, request) => total + encode(request).length, 0);
  const got = replies.reduce((total, reply) => total + reply.raw.length, 0);
  const [inAfter, outAfter] = await sum() as [number, number];
  t.same([inAfter - inBefore, outAfter - outBefore], [sent, got]);
});

t.test('gauges go up and come down', async (t) => {
  await waitFor('earlier clients to be gone', async () => {
    const [clients] = [await baton.metric('baton_pool_clients')];
    return clients <= 5;
  });
  const base = await baton.metric('baton_pool_clients');
  const clients = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
  for (const client of clients) await client.call('PING');
  t.equal(await baton.metric('baton_pool_clients'), base + 20);
  t.equal(((await baton.stats()).alpha as Numbers).client_connections, base + 20);
  for (const client of clients) client.destroy();
  await waitFor('them to be gone', async () => await baton.metric('baton_pool_clients') === base);
  t.equal(await baton.metric('baton_server_requests_owed'), 0);
  t.equal(await baton.metric('baton_lane_requests_in_flight'), 0);
});

t.test('latency histograms: cumulative, complete, with sum and count', async (t) => {
  const metrics = await baton.metrics();
  const histograms = new Map<string, number[]>();
  for (const [sample, value] of metrics) {
    const bucket = /^(\w+)_bucket\{(.*?),?le="([^"]+)"\}$/.exec(sample);
    if (bucket === null) continue;
    const name = `${bucket[1]}{${bucket[2]}}`;
    histograms.set(name, [...histograms.get(name) ?? [], value]);
  }
  t.ok(histograms.size >= 3, `${histograms.size}: the pool and its servers`);
  for (const [name, buckets] of histograms) {
    t.same(buckets, [...buckets].sort((a, b) => a - b), `${name} is cumulative`);
    const [base, labels] = [name.slice(0, name.indexOf('{')), name.slice(name.indexOf('{'))];
    t.equal(metrics.get(`${base}_count${labels}`), buckets.at(-1), `${name} is complete`);
  }
  const pool = [...histograms].find(([name]) =>
    name.includes('pool="alpha"') && !name.includes('server='));
  t.ok(pool !== undefined && pool[1].at(-1)! > 600, 'the requests of this test are in it');
});

t.test('every metric has its help and type, and every sample parses', async (t) => {
  const text = await baton.metricsText();
  const typed = new Set([...text.matchAll(/^# TYPE (\S+) (counter|gauge|histogram)$/gm)]
    .map((match) => match[1]!));
  const helped = new Set([...text.matchAll(/^# HELP (\S+) \S/gm)].map((match) => match[1]!));
  t.same([...typed].filter((name) => !helped.has(name)), []);
  for (const line of text.split('\n').filter((each) => each !== '' && !each.startsWith('#'))) {
    const sample = /^([a-z_:]+)(\{([a-z_]+="[^"\n]*",?)*\})? (\S+)$/.exec(line);
    if (sample === null || Number.isNaN(Number(sample[4]!.replace('+Inf', 'Infinity')))) {
      t.fail(line);
      continue;
    }
    const family = sample[1]!.replace(/_(bucket|sum|count)$/, '');
    if (!typed.has(family) && !typed.has(sample[1]!)) t.fail(`${sample[1]} has no type`);
  }
});

t.test('INFO tells the same', async (t) => {
  const client = await baton.client();
  const info = String(await client.call('INFO'));
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:(\\d+)\\r$`, 'm').exec(info)?.[1] ?? Number.NaN);
  t.equal(field('process_id') > 1, true);
  t.equal(field('connected_clients'), await baton.metric('baton_pool_clients'));
  t.ok(field('total_commands_processed') >= 628, String(field('total_commands_processed')));
  t.ok(field('total_connections_received') >= 24);
});
