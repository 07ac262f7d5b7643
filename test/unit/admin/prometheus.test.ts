/** The exposition text, parsed back by the format's rules. */
import t from 'tap';
import { prometheusText } from '../../../src/admin/prometheus.js';
import { count } from '../../../src/tables/histogram.js';
import { numbered, roster } from '../tables/fake-instance.js';
import { sampleSnapshot } from './sample.js';

interface Sample { name: string; labels: Record<string, string>; value: number }
interface Family { type: string; help: string; samples: Sample[] }

/** Strict: any line that is not of the format throws, as do samples outside of their family. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let [current, help] = ['', ''];
  if (!text.endsWith('\n')) throw new Error('the last line must end');
  for (const line of text.slice(0, -1).split('\n')) {
    const comment = /^# (HELP|TYPE) ([a-z_]+) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment;
      if (kind === 'HELP') [current, help] = [name, rest];
      else if (name !== current || families.has(name)) throw new Error(`misplaced: ${line}`);
      else families.set(name, { type: rest, help, samples: [] });
      continue;
    }
    const match = /^([a-z_]+)(?:\{(.*)\})? (\+Inf|[-+0-9.e]+)$/.exec(line);
    if (match === null) throw new Error(`not a sample: ${line}`);
    const [, name, inner, value] = match;
    const family = families.get(current)!;
    const own = family.type === 'histogram' ? name.replace(/_(bucket|sum|count)$/, '') : name;
    if (own !== current) throw new Error(`sample of another family: ${line}`);
    family.samples.push({ name, labels: parseLabels(inner ?? ''), value: Number(value) });
  }
  return families;
}

function parseLabels(inner: string): Record<string, string> {
  const labels: Record<string, string> = {};
  let rest = inner;
  while (rest !== '') {
    const match = /^([a-z_]+)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/.exec(rest);
    if (match === null) throw new Error(`not a label: ${rest}`);
    labels[match[1]] = match[2].replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    rest = rest.slice(match[0].length);
  }
  return labels;
}

function valueOf(
  families: Map<string, Family>, name: string, labels: Record<string, string>,
): number | undefined {
  const wanted = JSON.stringify(labels);
  return families.get(name)?.samples.find((each) => JSON.stringify(each.labels) === wanted)?.value;
}

t.test('every family has a help text, a type and samples, and all names are ours', async (t) => {
  const families = parse(prometheusText(sampleSnapshot()));
  t.ok(families.size > 50);
  for (const [name, { type, help, samples }] of families) {
    t.match(name, /^baton_[a-z0-9_]+$/);
    t.match(help, /\.$/);
    t.ok(samples.length > 0, `${name} has samples`);
    if (type === 'histogram') continue;
    t.equal(type === 'counter', name.endsWith('_total'), `${name} is named as a ${type}`);
  }
});

t.test('no series twice', async (t) => {
  const lines = prometheusText(sampleSnapshot()).split('\n').filter((line) => /^[^#]/.test(line));
  const series = lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
  t.equal(new Set(series).size, series.length);
});

t.test('values and labels', async (t) => {
  const families = parse(prometheusText(sampleSnapshot()));
  const expected: [string, Record<string, string>, number][] = [
    ['baton_build_info', { version: '0.1.0', redis_version: '7.2.0' }, 1],
    ['baton_uptime_seconds', {}, 90_061],
    ['baton_shm_pool_max_bytes', {}, 1 << 20],
    ['baton_clients', {}, 9],
    ['baton_lane_up', { lane: '1' }, 1],
    ['baton_lane_turns_total', { lane: '1' }, 200],
    ['baton_pool_requests_total', { pool: 'alpha' }, 3000],
    ['baton_pool_errors_total', { pool: 'alpha', kind: 'crossslot' }, 3],
    ['baton_pool_errors_total', { pool: 'b', kind: 'client_limit' }, 18],
    ['baton_server_live', { pool: 'alpha', server: '127.0.0.1-6372' }, 0],
    ['baton_server_timeouts_total', { pool: 'alpha', server: '127.0.0.1-6372' }, 21],
    ['baton_server_requests_owed', { pool: 'alpha', server: 'one' }, 15],
    ['baton_server_ejected_at_seconds', { pool: 'alpha', server: '127.0.0.1-6372' }, 1_700_000_005],
    ['baton_command_calls_total', { command: 'get' }, 300],
    ['baton_command_seconds_total', { command: 'get' }, 0.0135],
    ['baton_command_errors_total', { command: 'client|id' }, 3],
  ];
  for (const [name, labels, value] of expected) {
    t.equal(valueOf(families, name, labels), value, `${name} ${JSON.stringify(labels)}`);
  }
  t.equal(families.get('baton_pool_errors_total')?.samples.length, 20);
});

t.test('latency buckets are cumulative and their bounds hold', async (t) => {
  const snapshot = sampleSnapshot();
  const families = parse(prometheusText(snapshot));
  const { samples } = families.get('baton_pool_latency_seconds')!;
  const alpha = samples.filter(({ labels }) => labels['pool'] === 'alpha');
  const buckets = alpha.filter(({ name }) => name.endsWith('_bucket'));
  const bounds = buckets.map(({ labels: { le } }) => (le === '+Inf' ? Infinity : Number(le)));
  t.same(bounds, [...bounds].sort((a, b) => a - b));
  t.equal(bounds[0], 16e-6);
  t.equal(bounds.at(-1), Infinity);
  // 5, 20, 100 and 1000 µs, three times each.
  const latencies = [5, 20, 100, 1000].flatMap((us) => [us, us, us]);
  buckets.forEach(({ value }, index) => {
    const truth = latencies.filter((us) => us / 1e6 <= bounds[index]).length;
    t.equal(value, truth, `le ${bounds[index]}`);
  });
  const total = alpha.find(({ name }) => name.endsWith('_count'))!.value;
  t.equal(total, 12);
  t.equal(total, count(snapshot.pools[0].latency.buckets));
  const sum = alpha.find(({ name }) => name.endsWith('_sum'))!.value;
  t.ok(Math.abs(sum - 3375e-6) < 3375e-6 / 16);
});

t.test('a latency beyond the last bound is in +Inf only', async (t) => {
  const { pools } = sampleSnapshot();
  pools[1].latency.buckets[223] = 5;
  const families = parse(prometheusText({ ...sampleSnapshot(), pools }));
  const b = families.get('baton_pool_latency_seconds')!.samples
    .filter(({ labels, name }) => labels['pool'] === 'b' && name.endsWith('_bucket'));
  t.equal(b.at(-1)?.value, 5);
  t.equal(b.at(-2)?.value, 0);
});

t.test('label values are escaped', async (t) => {
  const names = ['quote "', 'back\\slash', 'line\nfeed'];
  const pools = names.map((name) => ({ name, servers: [{ name: `${name}!` }] }));
  const families = parse(prometheusText(sampleSnapshot(numbered(pools))));
  const seen = families.get('baton_server_live')!.samples.map(({ labels }) => labels);
  t.same(seen, names.map((name) => ({ pool: name, server: `${name}!` })));
  const braces = parse(prometheusText(sampleSnapshot(roster('{a="b",c}: s', '中文: s'))));
  t.same(braces.get('baton_pool_clients')!.samples.map(({ labels }) => labels['pool']),
    ['{a="b",c}', '中文']);
});

t.test('nothing to show leaves no empty families', async (t) => {
  const families = parse(prometheusText({
    ...sampleSnapshot(), pools: [], lanes: [], commands: [],
  }));
  for (const [name, { samples }] of families) t.ok(samples.length > 0, name);
  t.notOk(families.has('baton_pool_clients'));
});
