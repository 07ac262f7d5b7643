/** Redis servers and a Baton in front of them, which is told to reload, to be replaced, or killed. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOME } from '../compare/parties.js';
import { freePort, identify, type Processes, type Service } from '../compare/processes.js';
import { ask } from '../compare/redis.js';
import { SharedRows, type LaneClaim, type LaneTakeovers } from './shared-rows.js';

const SERVERS = 2;
const STANDBYS = 1; // Baton's default
const START_PATIENCE_MS = 20_000;
const CHANGE_PATIENCE_MS = 60_000;
const LOOK_MS = 10;

async function answers(service: Service, port: number): Promise<void> {
  const deadline = Date.now() + START_PATIENCE_MS;
  for (;;) {
    const reason = await ask(port, 'GET', 'x').then(() => null, (error: Error) => error.message);
    if (reason === null) return;
    if (service.ended || Date.now() > deadline) {
      throw new Error(`${service.name} did not start: ${reason}: ${service.lastWords()}`);
    }
    await sleep(50);
  }
}

export async function startServers(processes: Processes, folder: string): Promise<number[]> {
  const ports: number[] = [];
  for (let at = 1; at <= SERVERS; at++) {
    const port = await freePort();
    const own = join(folder, `redis-${at}`);
    mkdirSync(own);
    const service = processes.start(`redis-${at}`, [
      'redis-server', '--port', String(port), '--bind', '127.0.0.1', '--save', '',
      '--appendonly', 'no', '--daemonize', 'no', '--dir', own,
    ]);
    await answers(service, port);
    ports.push(port);
  }
  return ports;
}

function confOf(port: number, servers: readonly number[], workers: number): string {
  return `global:
  worker_processes: ${workers}
  upgrade_canary: 0
  stats: off
  metrics: off
pools:
  bench:
    listen: 127.0.0.1:${port}
    redis: true
    preconnect: true
    servers:
${servers.map((server, at) => `      - 127.0.0.1:${server}:1 s${at + 1}\n`).join('')}`;
}

export class Instance {
  readonly port: number;
  readonly #service: Service;
  readonly #pidFile: string;
  readonly #rows: SharedRows;
  readonly #workers: number;

  private constructor(service: Service, port: number, pidFile: string, workers: number) {
    this.port = port;
    this.#service = service;
    this.#pidFile = pidFile;
    this.#workers = workers;
    this.#rows = new SharedRows(this.#master(), workers);
  }

  static async start(
    processes: Processes, folder: string, name: string, servers: readonly number[],
    workers: number,
  ): Promise<Instance> {
    const port = await freePort();
    const conf = join(folder, `${name}.yml`);
    const pidFile = join(folder, `${name}.pid`);
    writeFileSync(conf, confOf(port, servers, workers));
    const service = processes.start(name, [join(HOME, 'bin/baton'), '-c', conf, '-p', pidFile]);
    await answers(service, port);
    return new Instance(service, port, pidFile, workers);
  }

  /** HUP. Resolves, when the old workers are gone, with what the lanes say of their takeovers. */
  async reload(): Promise<LaneTakeovers[]> {
    const before = this.#rows.takeovers();
    process.kill(this.#master(), 'SIGHUP');
    await this.#until('a reload', () => this.#isTaken(before));
    return this.#rows.takeovers();
  }

  /** USR2, then QUIT to the old master. Resolves when nothing of it is left. */
  async upgrade(): Promise<LaneTakeovers[]> {
    const before = this.#rows.takeovers();
    const old = this.#master();
    const oldFile = `${this.#pidFile}.oldbin`;
    process.kill(old, 'SIGUSR2');
    await this.#until('an upgrade', () =>
      existsSync(oldFile) && this.#master() !== 0 && this.#master() !== old);
    process.kill(old, 'SIGQUIT');
    await this.#until('the end of an upgrade', () =>
      this.#isTaken(before) && !existsSync(oldFile) && identify(old) === null);
    return this.#rows.takeovers();
  }

  /** Resolves when a worker is warm that waits for a lane to lose its owner. */
  async guarded(): Promise<void> {
    await this.#until('a standby', () => this.#rows.hasStandby());
  }

  /** SIGKILL to the worker of lane 0. Resolves, when another has all of it, with when what was. */
  async kill(): Promise<{ readonly killedUs: number; readonly claim: LaneClaim }> {
    const before = this.#rows.claim(0);
    const killedUs = Number(process.hrtime.bigint()) / 1000;
    process.kill(before.ownerPid, 'SIGKILL');
    await this.#until('another owner', () => {
      const { epoch, claimedUs, servedUs, wholeUs } = this.#rows.claim(0);
      return epoch > before.epoch && servedUs > claimedUs && wholeUs > claimedUs;
    });
    return { killedUs, claim: this.#rows.claim(0) };
  }

  async stop(): Promise<void> {
    this.#rows.close();
    await this.#service.stop();
  }

  /** Every lane has another owner, and only owners are left. */
  #isTaken(before: readonly LaneTakeovers[]): boolean {
    const now = this.#rows.takeovers();
    return now.every(({ count }, lane) => count > before[lane]!.count)
      && this.#rows.workers() === this.#workers + STANDBYS;
  }

  /** 0 while there is no such file: it is being replaced. */
  #master(): number {
    try {
      return Number(readFileSync(this.#pidFile, 'latin1'));
    } catch {
      return 0;
    }
  }

  async #until(what: string, isDone: () => boolean): Promise<void> {
    const deadline = Date.now() + CHANGE_PATIENCE_MS;
    while (!isDone()) {
      if (this.#service.ended || Date.now() > deadline) {
        throw new Error(`${what} did not happen: ${this.#service.lastWords()}`);
      }
      await sleep(LOOK_MS);
    }
  }
}
