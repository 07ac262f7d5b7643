/**
 * A redis-server of our own on a free port: nothing persisted, in a scratch directory, dead at the
 * end of the test. It can be killed, frozen and started again on the same port.
 */
import type { ChildProcess } from 'node:child_process';
import { spawnChild } from './children.js';
import { Client } from './client.js';
import { freePort } from './free-port.js';
import type { Argument, Plain } from './resp.js';
import { scratch } from './scratch.js';
import type { Scope } from './scope.js';
import { Hopeless, waitFor } from './wait-for.js';

const START_TRIES = 3;

export class Redis {
  #child: ChildProcess | null = null;
  #output = '';
  #admin: Client | null = null;

  private constructor(
    readonly scope: Scope,
    readonly port: number,
    readonly directory: string,
    readonly options: readonly string[],
  ) {}

  /** `options` are redis-server's, as on its command line: ['--requirepass', 'secret']. */
  static async start(scope: Scope, options: readonly string[] = []): Promise<Redis> {
    for (let tries = 1; ; tries += 1) {
      const redis = new Redis(scope, await freePort(), scratch(scope), options);
      try {
        await redis.up();
        scope.teardown(() => redis.kill());
        return redis;
      } catch (error) {
        await redis.kill();
        const isTaken = redis.#output.includes('Address already in use');
        if (!isTaken || tries === START_TRIES) throw error;
      }
    }
  }

  /** Several at once. */
  static async startMany(scope: Scope, count: number, options: readonly string[] = []):
  Promise<Redis[]> {
    return Promise.all(Array.from({ length: count }, () => Redis.start(scope, options)));
  }

  /** Starts the process, again if it was killed; resolves when it answers. */
  async up(): Promise<void> {
    const child = spawnChild('redis-server', [
      '--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no',
      '--dir', this.directory, '--daemonize', 'no', '--enable-debug-command', 'yes',
      ...this.options,
    ]);
    this.#child = child;
    const collect = (bytes: Buffer): void => { this.#output += bytes.toString(); };
    child.stdout!.on('data', collect);
    child.stderr!.on('data', collect);
    child.on('error', (error) => { this.#output += error.message; });
    await waitFor('redis-server to be ready', () => {
      if (child.exitCode !== null || child.pid === undefined) {
        throw new Hopeless(`redis-server ended: ${this.#output.slice(-500)}`);
      }
      return this.#output.includes('Ready to accept connections');
    });
    this.#output = '';
  }

  get pid(): number {
    if (this.#child?.pid === undefined) throw new Error('this redis-server is not running');
    return this.#child.pid;
  }

  /** The server's list entry in Baton's configuration, with a weight of 1 and no name. */
  get entry(): string {
    return `127.0.0.1:${this.port}:1`;
  }

  /** One command on a connection of its own that stays open, as an administrator would. */
  async call(...args: Argument[]): Promise<Plain> {
    if (this.#admin === null || this.#admin.isClosed) {
      this.#admin = await Client.open(this.scope, this.port);
      const password = this.options[this.options.indexOf('--requirepass') + 1];
      if (this.options.includes('--requirepass')) await this.#admin.call('AUTH', password!);
    }
    return this.#admin.call(...args);
  }

  /** How often a command was executed here, by INFO commandstats. */
  async calls(command: string): Promise<number> {
    const text = String(await this.call('INFO', 'commandstats'));
    const found = new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(text);
    return found === null ? 0 : Number(found[1]);
  }

  async resetCalls(): Promise<void> {
    await this.call('CONFIG', 'RESETSTAT');
  }

  async flush(): Promise<void> {
    await this.call('FLUSHALL');
  }

  /** SIGKILL: connections are reset, nothing is saved. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    if (child === null || child.pid === undefined) return;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => { child.once('exit', () => resolve()); });
    child.kill('SIGKILL');
    await ended;
  }

  /** SIGSTOP: connections stay, nobody answers. */
  freeze(): void {
    process.kill(this.pid, 'SIGSTOP');
  }

  thaw(): void {
    process.kill(this.pid, 'SIGCONT');
  }
}
