/**
 * Baton itself, started as an operator would: bin/baton -c CONF -p PIDFILE, in the foreground.
 *
 *   const baton = await Baton.start(t, { servers: [redis], pool: { distribution: 'modula' } });
 *   const client = await baton.client();
 *
 *   our child: the mute parent ─┬─► master (session of its own) ─► workers, each with its keeper
 *     baton.parentPid           └─► after an upgrade or a death the next …  baton.pid, workers()
 *
 * Every instance is stopped at the end of its test, and the stop is a test of its own: exit code 0,
 * no process of the family left, no shared memory, no file, and nothing held when idle.
 */
import type { ChildProcess } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { spawnChild } from './children.js';
import { Client } from './client.js';
import { fullConf, type Directives } from './conf.js';
import { freePort } from './free-port.js';
import { readLanes, readWorkers, type LaneRow, type WorkerRow } from './memory-view.js';
import { holdersOf, isAlive, sharedMemoryOf, titleOf, treeOf } from './processes.js';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';
import { Hopeless, waitFor, within } from './wait-for.js';

const root = fileURLToPath(new URL('../../../', import.meta.url)); // from dist/test/support
const START_TRIES = 3;
const START_PATIENCE_MS = 20_000;
const STOP_PATIENCE_MS = 15_000;
const IDLE_PATIENCE_MS = 3000;
const GONE_PATIENCE_MS = 2000; // keepers look only now and then whether they are still needed

/** What the lane's own check finds. */
const DAMAGE_MET = /^.*"event":"lane_damaged".*$/m;
/** What nobody but a test that makes it happen should ever see. */
const DAMAGE = new RegExp('^.*"event":"('
  + 'lane_damaged|row_damaged|lane_cold_start|request_poisoned|link_poisoned)".*$', 'm');

/** Anything with a line for the `servers` list. */
export interface Server {
  readonly entry: string;
}

export interface BatonOptions {
  readonly global?: Directives;
  readonly pool?: Directives;               // of the one pool, named "alpha"
  readonly servers?: readonly (Server | string)[];
  readonly pools?: { [name: string]: Directives }; // further pools; those without `listen` get one
  readonly mayHold?: boolean;               // requests to a server that never answers
  readonly mayBeDamaged?: boolean;          // by the test, which expects that it is told
  readonly environment?: NodeJS.ProcessEnv;
  readonly program?: string;                // instead of this tree's bin/baton
  readonly nodeOptions?: readonly string[]; // of the master; workers get the same
}

/** For options.environment: as under a service manager there is no parent who replaces masters. */
export const ALONE = { NOTIFY_SOCKET: '@baton-tests-nobody' };

export interface Stats {
  [pool: string]: unknown;
}

export class Baton {
  #child: ChildProcess | null = null;
  #output = '';
  #memory: string[] = [];
  #masters = new Set<number>(); // all that have ever been in the pid file
  #killed = new Set<number>(); // those that a test has killed
  #exit: { code: number | null; signal: NodeJS.Signals | null } | null = null;

  private constructor(
    readonly scope: Scope,
    readonly options: BatonOptions,
    readonly directory: string,
    readonly ports: Readonly<Record<string, number>>, // pool name → port
    readonly statsPort: number,
    readonly metricsPort: number,
  ) {}

  static async start(scope: Scope, options: BatonOptions): Promise<Baton> {
    for (let tries = 1; ; tries += 1) {
      const ports: Record<string, number> = {};
      const others = Object.entries(options.pools ?? {});
      const names = [...(options.servers === undefined ? [] : ['alpha']),
        ...others.filter(([, pool]) => pool.listen === undefined).map(([name]) => name)];
      for (const name of names) ports[name] = await freePort();
      const baton = new Baton(scope, options, scratch(scope), ports,
        await freePort(), await freePort());
      try {
        await baton.#up();
        scope.teardown(() => baton.stop());
        return baton;
      } catch (error) {
        await baton.#kill();
        if (tries === START_TRIES || !/address already in use|EADDRINUSE/i.test(baton.#output)) {
          throw error;
        }
      }
    }
  }

  /** The port of the first pool. */
  get port(): number {
    return Object.values(this.ports)[0]!;
  }

  /** How the process that we started has ended; null: it lives. */
  get ending(): { readonly code: number | null; readonly signal: NodeJS.Signals | null } | null {
    return this.#exit;
  }

  /** The process that we started: the mute parent. */
  get parentPid(): number {
    if (this.#child?.pid === undefined) throw new Error('Baton is not running');
    return this.#child.pid;
  }

  /** The master that signals are for: what the pid file says. */
  get pid(): number {
    const pid = this.pidIn(this.pidFile);
    if (pid === null) throw new Error(`there is no pid in ${this.pidFile}`);
    this.#masters.add(pid);
    return pid;
  }

  /** The number in a pid file; null while there is no such file. */
  pidIn(path: string): number | null {
    return existsSync(path) ? Number(readFileSync(path, 'utf8')) : null;
  }

  get confFile(): string {
    return join(this.directory, 'baton.yml');
  }

  get pidFile(): string {
    return join(this.directory, 'baton.pid');
  }

  /** Where the old master's pid is while an upgrade can be undone. */
  get oldPidFile(): string {
    return `${this.pidFile}.oldbin`;
  }

  /** Everything written so far to standard output and standard error. */
  get log(): string {
    return this.#output;
  }

  /** Pids of the workers that serve, in the order of their lanes. */
  workers(): number[] {
    return this.lanes().flatMap(({ owner }) =>
      owner !== null && isAlive(owner.pid) ? [owner.pid] : []);
  }

  /** The file of its shared memory. */
  get memory(): string {
    return this.#memory[0]!;
  }

  /** Every lane, as shared memory describes it. */
  lanes(): LaneRow[] {
    return this.#memory.flatMap((path) => existsSync(path) ? readLanes(path) : []);
  }

  /** All workers of all masters: those that serve, start, wait or are frozen. */
  crew(): WorkerRow[] {
    return this.#memory.flatMap((path) => existsSync(path) ? readWorkers(path) : []);
  }

  /** Every process that belongs to this instance, our child first. */
  family(): number[] {
    const masters = [...this.#masters, ...this.crew().map(({ masterPid }) => masterPid)]
      .filter((pid) => titleOf(pid).startsWith('baton: master'));
    const found = [this.parentPid, ...masters, ...holdersOf(this.#memory)];
    return [...new Set([...found, ...treeOf(...found)])].filter(isAlive);
  }

  client(address: number | string = this.port): Promise<Client> {
    return Client.open(this.scope, address);
  }

  /** twemproxy's statistics as JSON. */
  async stats(): Promise<Stats> {
    const text = await within('the statistics', new Promise<string>((resolve, reject) => {
      const socket = connect(this.statsPort, '127.0.0.1');
      let received = '';
      socket.on('data', (bytes) => { received += bytes.toString(); });
      socket.on('end', () => resolve(received));
      socket.on('error', reject);
    }));
    return JSON.parse(text) as Stats;
  }

  /** Prometheus' text format, whole. */
  metricsText(): Promise<string> {
    return within('the metrics', new Promise<string>((resolve, reject) => {
      get({ host: '127.0.0.1', port: this.metricsPort, path: '/metrics' }, (response) => {
        let received = '';
        response.on('data', (bytes: Buffer) => { received += bytes.toString(); });
        response.on('end', () => resolve(received));
      }).on('error', reject);
    }));
  }

  /** All samples: name with labels as printed → value. */
  async metrics(): Promise<Map<string, number>> {
    const samples = new Map<string, number>();
    for (const line of (await this.metricsText()).split('\n')) {
      const sample = /^([^#\s]\S*?(?:\{.*\})?) (\S+)/.exec(line);
      if (sample !== null) samples.set(sample[1]!, Number(sample[2]));
    }
    return samples;
  }

  /** Sum of all samples of a name whose labels contain each of the given texts. */
  async metric(name: string, ...labels: string[]): Promise<number> {
    let sum = Number.NaN;
    for (const [sample, value] of await this.metrics()) {
      const isIt = sample === name || sample.startsWith(`${name}{`);
      if (!isIt || !labels.every((label) => sample.includes(label))) continue;
      sum = Number.isNaN(sum) ? value : sum + value;
    }
    return sum;
  }

  /** Waits until the log holds a line that matches. */
  async logged(pattern: RegExp, patienceMs?: number): Promise<string> {
    return waitFor(`a log line like ${pattern}; the log:\n${this.#output.slice(-2000)}`,
      () => this.#output.split('\n').find((line) => pattern.test(line)), patienceMs);
  }

  /** SIGKILL to a master, which cannot remove its copy of the build any more: we do. */
  killMaster(pid: number): void {
    process.kill(pid, 'SIGKILL');
    this.scope.teardown(() => this.#copiesOf(pid).forEach((name) =>
      rmSync(join(tmpdir(), name), { recursive: true, force: true })));
    this.#killed.add(pid);
  }

  /** Stops by a signal to the parent and checks that nothing is left. Nothing the second time. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    const kept = this.#exit === null && signal === 'SIGTERM' ? await this.#kept() : '';
    const family = this.family();
    if (this.#exit === null) child.kill(signal);
    let left: string[] = [];
    try {
      await waitFor('Baton to end', () => this.#exit, STOP_PATIENCE_MS);
      await waitFor('everything to be gone', () => {
        left = this.#left(family);
        return left.length === 0;
      }, GONE_PATIENCE_MS).catch(() => {});
    } finally {
      await this.#kill();
    }
    this.#child = null;
    const { code, signal: died } = this.#exit!;
    const damage = (this.options.mayBeDamaged === true ? DAMAGE_MET : DAMAGE).exec(this.#output)?.[0];
    if (damage !== undefined) throw new Error(`the lane's own check found: ${damage}`);
    if (code === 0 && left.length === 0 && kept === '') return;
    throw new Error(`Baton ended with ${died ?? code}, left [${left.join(', ')}] and ${kept}`
      + ` its log:\n${this.#output.slice(-4000)}`);
  }

  /** What must not be there any more: processes, memory, files. */
  #left(family: readonly number[]): string[] {
    const pids = new Set([...family, ...holdersOf(this.#memory)]);
    return [
      ...[...pids].filter(isAlive).map((pid) => `process ${pid} (${titleOf(pid)})`),
      ...[...this.#memory, ...this.#sockets()].filter(existsSync),
      ...readdirSync(this.directory).filter((name) => name.startsWith('baton.pid')),
      ...[...this.#masters].filter((pid) => !this.#killed.has(pid))
        .flatMap((pid) => this.#copiesOf(pid)),
    ];
  }

  /** The private copy of the build that a master has made. */
  #copiesOf(master: number): string[] {
    return readdirSync(tmpdir()).filter((name) => name.startsWith(`baton-build-${master}-`));
  }

  /**
   * What an idle instance still holds: the clients of its test are gone by now, so this is a leak.
   * Requests to a server that takes none are no leak: options.mayHold.
   */
  async #kept(): Promise<string> {
    if (this.options.mayHold === true) return '';
    const names = ['pool_clients', 'lane_chunks', 'lane_nodes', 'lane_requests_in_flight'];
    let held: string[] = [];
    await waitFor('nothing to be held', async () => {
      const metrics = await this.metrics();
      held = [...metrics].filter(([sample, value]) => value !== 0
        && names.some((name) => sample.startsWith(`baton_${name}{`)))
        .map(([sample, value]) => `${sample} ${value}`);
      return held.length === 0;
    }, IDLE_PATIENCE_MS).catch(() => {});
    return held.length === 0 ? '' : `held ${held.join(', ')} when idle;`;
  }

  #sockets(): string[] {
    const pools = [this.options.pool ?? {}, ...Object.values(this.options.pools ?? {})];
    return pools.map((pool) => String(pool.listen ?? '').split(' ')[0]!)
      .filter((path) => path.startsWith('/'));
  }

  /** Starts the program once more after its death, as a service manager does. */
  startAgain(program = this.options.program): void {
    this.#spawn(program);
  }

  async #up(): Promise<void> {
    writeFileSync(this.confFile, this.#conf());
    this.#spawn(this.options.program);
    await waitFor('Baton to accept clients', () => this.#accepts(), START_PATIENCE_MS)
      .catch((error: Error) => {
        throw new Error(`${error.message}; its log:\n${this.#output.slice(-3000)}`);
      });
  }

  #spawn(program = join(root, 'bin/baton')): void {
    const options = this.options.nodeOptions ?? [];
    const args = [...options, program, '-c', this.confFile, '-p', this.pidFile];
    const child = spawnChild(options.length > 0 ? process.execPath : args.shift()!, args, {
      cwd: this.directory, env: { ...process.env, BATON_CHECKS: '1', ...this.options.environment },
    });
    this.#child = child;
    this.#exit = null;
    const collect = (bytes: Buffer): void => { this.#output += bytes.toString(); };
    child.stdout!.on('data', collect);
    child.stderr!.on('data', collect);
    child.once('exit', (code, signal) => { this.#exit = { code, signal }; });
    child.once('error', (error) => { this.#output += error.message; });
  }

  async #accepts(): Promise<boolean> {
    if (this.#exit !== null) throw new Hopeless(`Baton ended: ${this.#output.slice(-2000)}`);
    if (!existsSync(this.pidFile)) return false;
    this.#memory = sharedMemoryOf(this.pid);
    const workers = Number(this.options.global?.worker_processes ?? 1);
    if (this.workers().length < workers) return false;
    for (const port of Object.values(this.ports)) await this.#ping(port);
    return true;
  }

  /** Any answer will do: with redis_auth it is an error. */
  async #ping(port: number): Promise<void> {
    const scope = { teardown: (): void => {} };
    const client = await Client.open(scope, port);
    try {
      await client.command('PING');
    } finally {
      client.destroy();
    }
  }

  #conf(): string {
    const { global, pool, servers, pools } = this.options;
    const entries = servers?.map((server) => typeof server === 'string' ? server : server.entry);
    const alpha = entries === undefined ? {} : {
      alpha: { listen: `127.0.0.1:${this.ports.alpha}`, redis: true, ...pool, servers: entries },
    };
    const others = Object.fromEntries(Object.entries(pools ?? {}).map(([name, directives]) =>
      [name, { listen: `127.0.0.1:${this.ports[name]}`, redis: true, ...directives }]));
    return fullConf({
      // Most tests need no standby, which costs a second of a core each time.
      worker_processes: 1, worker_standby: 0, stats: `127.0.0.1:${this.statsPort}`,
      metrics: `127.0.0.1:${this.metricsPort}`, ...global,
    }, { ...alpha, ...others });
  }

  async #kill(): Promise<void> {
    if (this.#child?.pid === undefined) return;
    for (const pid of this.family()) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // it has just ended
      }
    }
    await waitFor('the killed parent to be gone', () => this.#exit);
    for (const path of this.#memory) rmSync(path, { force: true });
  }
}
