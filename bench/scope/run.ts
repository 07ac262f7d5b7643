/**
 * npm run bench:scope -- [--reps N] [--seconds S] [--workers 1,2,4,8]: links of each worker's own
 * against links that all workers share (server_connections_scope), under the same loads.
 *
 * Scopes take turns within a repetition; a figure is the median over repetitions. CPU is that of
 * Baton's whole process tree, and of all Redis servers, per command.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { cpuBetween, cpuOf } from '../compare/accounting.js';
import { HOME } from '../compare/parties.js';
import { freePort, Processes, type Service } from '../compare/processes.js';
import { ask, load } from '../compare/redis.js';

const SERVERS = 3;
const KEYS = 100_000;
const VALUE_BYTES = 3;
const CLIENTS = 64;
const SCOPES = ['worker', 'proxy'] as const;
const LOADS = [
  { name: 'GET, P=1', pipeline: 1, command: ['-t', 'get'], guess: 40_000 },
  { name: 'GET, P=16', pipeline: 16, command: ['-t', 'get'], guess: 200_000 },
  { name: 'MGET of 10, P=16', pipeline: 16, guess: 25_000,
    command: ['mget', ...Array.from({ length: 10 }, () => 'key:__rand_int__')] },
];
const START_TRIES = 400;
const TRY_MS = 50;
const RUN_PATIENCE_MS = 60_000;

interface Figures {
  readonly rps: number;
  readonly cpuUs: number;
  readonly redisUs: number;
  readonly links: number; // of all servers
}

const { values: options } = parseArgs({ options: {
  reps: { type: 'string', default: '3' },
  seconds: { type: 'string', default: '2' },
  workers: { type: 'string', default: '1,2,4,8' },
} });

async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < START_TRIES; tries++) {
    if (await ask(port, 'PING').then(() => true, () => false)) return;
    await sleep(TRY_MS);
  }
  throw new Error(`port ${port}: nobody answers`);
}

async function linksOf(servers: readonly number[]): Promise<number> {
  const lists = await Promise.all(servers.map((port) => ask(port, 'CLIENT', 'LIST')));
  return lists.reduce((sum, text) => sum + text.split('\n').filter((line) => line.includes('addr=')).length - 1, 0);
}

class Stand {
  constructor(
    private readonly processes: Processes,
    private readonly place: string,
    private readonly ports: readonly number[],
    private readonly redis: readonly Service[],
  ) {}

  async measure(workers: number, scope: string): Promise<Figures[]> {
    const port = await freePort();
    const conf = join(this.place, 'baton.yml');
    writeFileSync(conf, [`global:`, `  worker_processes: ${workers}`, `  worker_standby: 0`, `pools:`,
      `  bench:`, `    listen: 127.0.0.1:${port}`, `    preconnect: true`, `    redis: true`,
      `    server_connections_scope: ${scope}`, `    servers:`,
      ...this.ports.map((each, at) => `      - 127.0.0.1:${each}:1 s${at}`), ''].join('\n'));
    const baton = this.processes.start('baton', [join(HOME, 'bin/baton'), '-c', conf,
      '-p', join(this.place, 'baton.pid')]);
    try {
      await answers(port);
      const found: Figures[] = [];
      for (const each of LOADS) found.push(await this.#run(baton, port, each));
      return found;
    } finally {
      await baton.stop();
    }
  }

  async #run(baton: Service, port: number, { pipeline, command, guess }: typeof LOADS[number]): Promise<Figures> {
    const run = async (requests: number) => {
      const { code, stdout } = await this.processes.run(['redis-benchmark', '-p', String(port),
        '-c', String(CLIENTS), '-P', String(pipeline), '-n', String(requests), '-r', String(KEYS),
        '--csv', ...command], RUN_PATIENCE_MS);
      const rps = Number(/"([\d.]+)"/.exec(stdout.trim().split('\n').at(-1)!.replace(/^"[^"]*",/, ''))?.[1]);
      if (code !== 0 || !(rps > 0)) throw new Error(`redis-benchmark: ${stdout}`);
      return rps;
    };
    const speed = await run(guess / 4); // warms up, too
    const requests = Math.ceil(speed * Number(options.seconds));
    const roots = this.redis.map(({ pid }) => pid);
    const before = [cpuOf([baton.pid]), cpuOf(roots)] as const;
    const rps = await run(requests);
    const [cpu, redis] = [cpuBetween(before[0], cpuOf([baton.pid])), cpuBetween(before[1], cpuOf(roots))];
    return { rps, cpuUs: cpu / 1000 / requests, redisUs: redis / 1000 / requests,
      links: await linksOf(this.ports) };
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

async function main(): Promise<void> {
  const place = mkdtempSync(join(tmpdir(), 'baton-scope-'));
  const processes = new Processes(place, false);
  try {
    const ports: number[] = [];
    const redis: Service[] = [];
    for (let i = 0; i < SERVERS; i++) {
      const port = await freePort();
      ports.push(port);
      redis.push(processes.start(`redis-${i}`, ['redis-server', '--port', String(port), '--save', '', '--appendonly', 'no']));
      await answers(port);
      await load(port, KEYS, VALUE_BYTES);
    }
    const stand = new Stand(processes, place, ports, redis);
    process.stdout.write(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, load ${loadavg()[0]!.toFixed(1)}, ` +
      `${options.reps} repetitions, ${CLIENTS} clients, ${SERVERS} servers\n\n` +
      '| load | workers | scope | requests/s | CPU µs | Redis µs | connections |\n|---|---|---|---|---|---|---|\n');
    for (const workers of options.workers.split(',').map(Number)) {
      const runs = new Map<string, Figures[][]>(SCOPES.map((scope) => [scope, []]));
      for (let i = 0; i < Number(options.reps); i++) {
        for (const scope of SCOPES) runs.get(scope)!.push(await stand.measure(workers, scope));
      }
      LOADS.forEach(({ name }, at) => SCOPES.forEach((scope) => {
        const of = (figure: keyof Figures) => median(runs.get(scope)!.map((each) => each[at]![figure]));
        process.stdout.write(`| ${name} | ${workers} | ${scope} | ${Math.round(of('rps'))} | ` +
          `${of('cpuUs').toFixed(2)} | ${of('redisUs').toFixed(2)} | ${of('links')} |\n`);
      }));
    }
  } finally {
    await processes.stopAll();
    rmSync(place, { recursive: true, force: true });
  }
}

await main();
