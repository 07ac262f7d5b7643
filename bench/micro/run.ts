/**
 * npm run bench:micro -- [--quick] [--json FILE]: what a message from process to process costs by
 * a lane's ring and by what the system and Node have, and what a chunk of the pool costs.
 *
 * Every figure is the median over repetitions, in which parties take turns. Nothing is bound to a
 * core: on a machine that others use, latencies are theirs.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HOME } from '../compare/parties.js';
import { measureProcessSend } from './process-send.js';

/** Times in nanoseconds: of a message, and from its sending to its arrival. */
export interface Figures {
  readonly ns: number;
  readonly wakes: number; // system calls that woke the other side, per message
  readonly p50: number;
  readonly p99: number;
}

interface PoolFigures {
  readonly ns: number; // to take and give a chunk
  readonly growth: number; // the longest wait for 64 more
  readonly missing: number; // chunks that did not come back
}

interface Cell {
  readonly bytes?: number; // of each message's payload
  readonly party: string;
  readonly mode: 'flood' | 'busy' | 'idle';
  readonly batch: number;
  readonly messages: number;
}

const FLAGS = ['-std=c++20', '-O3', '-flto', '-fno-exceptions', '-fno-rtti', '-fno-strict-aliasing',
  '-pthread'];
const SOURCES = ['post', 'chain', 'unit-pool', 'segment'].map((name) => `native/${name}.cc`);
const PARTIES = ['ring', 'pipe', 'socket', 'mqueue', 'process.send'];
const BATCHES = [1, 8, 16, 64];
const POOL_UNITS = [1, 16, 64, 1000];
const PAYLOADS = [64, 512, 4096];
const CARRIERS = ['ring', 'chain'];

const isQuick = process.argv.includes('--quick');
const REPETITIONS = isQuick ? 1 : 5;

/** About a quarter of a second each. */
function messagesOf(party: string, mode: Cell['mode']): number {
  if (mode === 'idle') return party === 'process.send' ? 500 : 2000;
  const most = { ring: 4_000_000, chain: 500_000, pipe: 1_000_000, socket: 1_000_000, mqueue: 100_000 };
  return most[party as keyof typeof most] ?? 40_000;
}

function cells(): Cell[] {
  const cell = (party: string, mode: Cell['mode'], batch: number): Cell =>
    ({ party, mode, batch, messages: messagesOf(party, mode) });
  return [
    ...PARTIES.flatMap((party) => BATCHES.map((batch) => cell(party, 'flood', batch))),
    ...BATCHES.map((batch) => cell('ring', 'busy', batch)),
    ...PARTIES.map((party) => cell(party, 'idle', 1)),
    ...CARRIERS.flatMap((party) => PAYLOADS.flatMap((bytes) => BATCHES.map((batch) =>
      ({ ...cell('chain', 'flood', batch), party, bytes })))),
  ];
}

function compile(place: string, name: string, sources: readonly string[]): string {
  const path = join(place, name);
  const files = [`bench/micro/${name}.cc`, ...sources].map((file) => join(HOME, file));
  const include = ['native', 'test/native'].flatMap((folder) => ['-I', join(HOME, folder)]);
  execFileSync('g++', [...FLAGS, ...include, ...files, '-o', path, '-lrt']);
  return path;
}

function measure(program: string, { party, mode, batch, messages, bytes = 0 }: Cell): Promise<Figures> {
  if (party === 'process.send') return measureProcessSend(mode, batch, messages);
  const text = execFileSync(program, [party, mode, String(batch), String(messages),
    String(bytes)]);
  return Promise.resolve(JSON.parse(text.toString()) as Figures);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function medians<T extends object>(runs: readonly T[]): T {
  const names = Object.keys(runs[0]!) as (keyof T)[];
  return Object.fromEntries(names.map((name) =>
    [name, median(runs.map((each) => Number(each[name])))])) as T;
}

const found = new Map<string, Figures>();
const keyOf = ({ party, mode, batch, bytes = 0 }: Omit<Cell, 'messages'>) =>
  `${party} ${mode} ${batch}${bytes > 0 ? ` ${bytes}` : ''}`;

function table(title: string, heads: readonly string[], rows: readonly (readonly string[])[]): void {
  const line = (cellsOf: readonly string[]) => `| ${cellsOf.join(' | ')} |`;
  process.stdout.write([`\n${title}\n`, line(heads), line(heads.map(() => '---')),
    ...rows.map(line), ''].join('\n'));
}

function show(pool: ReadonlyMap<number, PoolFigures>): void {
  const ofRing = (mode: Cell['mode'], batch: number) =>
    found.get(keyOf({ party: 'ring', mode, batch }))!;
  table('ns per message, by how many are sent at once', ['', ...BATCHES.map(String)],
    PARTIES.map((party) => [party, ...BATCHES.map((batch) =>
      found.get(keyOf({ party, mode: 'flood', batch }))!.ns.toFixed(1))]));
  table('ns per message of a ring with a payload, which is copied into its stream or handed over',
    ['', ...BATCHES.map(String)],
    CARRIERS.flatMap((party) => PAYLOADS.map((bytes) => [
      `${bytes} bytes, ${party === 'ring' ? 'copied' : 'units of its own'}`,
      ...BATCHES.map((batch) =>
        found.get(keyOf({ party, mode: 'flood', batch, bytes }))!.ns.toFixed(1)),
    ])));
  table('wake-ups per message of a ring, both ways', ['receiver', ...BATCHES.map(String)], [
    ['faster than the sender', ...BATCHES.map((batch) => ofRing('flood', batch).wakes.toFixed(5))],
    ['saturated', ...BATCHES.map((batch) => ofRing('busy', batch).wakes.toFixed(5))],
  ]);
  table('µs until a sleeper has it', ['', 'median', '99 %'], PARTIES.map((party) => {
    const { p50, p99 } = found.get(keyOf({ party, mode: 'idle', batch: 1 }))!;
    return [party, (p50 / 1000).toFixed(1), (p99 / 1000).toFixed(1)];
  }));
  table('chunks of the pool', ['taken in a turn', 'ns to take and give', 'µs to grow', 'missing'],
    [...pool].map(([units, { ns, growth, missing }]) =>
      [String(units), ns.toFixed(1), (growth / 1000).toFixed(1), String(missing)]));
}

async function main(): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'baton-micro-'));
  try {
    const ring = compile(place, 'ring', SOURCES);
    const pool = compile(place, 'pool', SOURCES.slice(1));
    const runs = new Map<string, Figures[]>();
    const pools = new Map<number, PoolFigures[]>();
    for (let i = 0; i < REPETITIONS; i += 1) {
      for (const cell of cells()) {
        runs.set(keyOf(cell), [...(runs.get(keyOf(cell)) ?? []), await measure(ring, cell)]);
      }
      for (const units of POOL_UNITS) {
        const rounds = String(Math.ceil(10_000_000 / units));
        const text = execFileSync(pool, [String(units), rounds]).toString();
        pools.set(units, [...(pools.get(units) ?? []), JSON.parse(text) as PoolFigures]);
      }
    }
    for (const [key, each] of runs) found.set(key, medians(each));
    process.stdout.write(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, kernel ${release()}, ` +
      `Node ${process.version}, load ${loadavg()[0]!.toFixed(1)}, ${REPETITIONS} repetitions\n`);
    const ofPool = new Map([...pools].map(([units, each]) => [units, medians(each)]));
    show(ofPool);
    const json = process.argv.indexOf('--json');
    if (json > 0) {
      writeFileSync(process.argv[json + 1]!, `${JSON.stringify({
        messages: Object.fromEntries(found), pool: Object.fromEntries(ofPool) }, null, 2)}\n`);
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

await main();
