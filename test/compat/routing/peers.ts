/**
 * Starts the real programs that routing is compared with: redis-server and nutcracker. Everything
 * started here ends with the test, also when that ends badly.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RespPipeline } from './resp-pipeline.js';

export interface Redis {
  readonly port: number;
  readonly client: RespPipeline;
  kill(): Promise<void>;
}

export class Peers {
  readonly folder = mkdtempSync(join(tmpdir(), 'baton-routing-'));
  readonly #children: ChildProcess[] = [];
  readonly #clients: RespPipeline[] = [];

  constructor() {
    process.once('exit', () => this.#children.forEach((child) => child.kill('SIGKILL')));
  }

  /** A port that was free a moment ago; whoever uses it must try again when it is taken by now. */
  async freePort(): Promise<number> {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    await new Promise((done) => server.close(done));
    return port;
  }

  async startRedis(): Promise<Redis> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const port = await this.freePort();
      const child = this.#spawn('redis-server', [
        ...['--port', `${port}`, '--bind', '127.0.0.1', '--dir', this.folder],
        ...['--save', '', '--appendonly', 'no'],
      ]);
      if (!(await saysReady(child))) continue;
      const client = await this.open({ port, host: '127.0.0.1' });
      return { port, client, kill: () => killed(child) };
    }
    throw new Error('redis-server found no free port in 10 attempts');
  }

  /** Starts nutcracker with the pools in `config` and waits until it listens at `socketPath`. */
  async startNutcracker(config: string, socketPath: string): Promise<void> {
    const file = (name: string): string => join(this.folder, name);
    writeFileSync(file('nutcracker.yml'), config);
    for (let attempt = 0; attempt < 10; attempt++) {
      const child = this.#spawn('nutcracker', [
        ...['-c', file('nutcracker.yml'), '-p', file('nutcracker.pid')],
        ...['-o', file('nutcracker.log'), '-s', `${await this.freePort()}`, '-a', '127.0.0.1'],
      ]);
      if (await this.#listens(child, socketPath)) return;
    }
    throw new Error(`nutcracker does not start:\n${readFileSync(file('nutcracker.log'), 'utf8')}`);
  }

  /** A connection that is closed at the end. */
  async open(to: { port: number; host: string } | { path: string }): Promise<RespPipeline> {
    const client = await RespPipeline.open(to);
    this.#clients.push(client);
    return client;
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#children.map(killed));
    rmSync(this.folder, { recursive: true });
  }

  #spawn(program: string, args: readonly string[]): ChildProcess {
    // Debian keeps nutcracker where only root's PATH leads.
    const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
    const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
    this.#children.push(child);
    return child;
  }

  /** True when `child` accepts connections, false when it ended before it did. */
  async #listens(child: ChildProcess, path: string): Promise<boolean> {
    while (child.exitCode === null && child.signalCode === null) {
      try {
        (await RespPipeline.open({ path })).close();
        return true;
      } catch {
        await new Promise((done) => setTimeout(done, 5)); // it says nowhere that it is ready
      }
    }
    return false;
  }
}

/** True when the server says that it accepts connections, false when it ended before it did. */
function saysReady(child: ChildProcess): Promise<boolean> {
  return new Promise((done) => {
    let said = '';
    child.once('exit', () => done(false));
    child.stdout!.on('data', (bytes: Buffer) => {
      said += bytes.toString('latin1');
      if (said.includes('eady to accept connections')) done(true);
    });
  });
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((done) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) done();
    else child.once('exit', () => done()).kill('SIGKILL');
  });
}
