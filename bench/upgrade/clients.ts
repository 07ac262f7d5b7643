/** The clients: client.cc compiled, and its runs. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HOME } from '../compare/parties.js';
import type { Processes, Service } from '../compare/processes.js';
import { readSamples, type Samples } from './stalls.js';

const FLAGS = ['-std=c++20', '-O2', '-Wall', '-Wextra', '-fno-exceptions', '-fno-rtti'];
const START_PATIENCE_MS = 30_000;

export const IDLE = -1; // a period: a batch at the start and one at the end

export interface Load {
  readonly sessions: number;
  readonly depth: number;
  readonly periodMs: number; // as --period, or IDLE
  readonly firstId: number;  // ids name keys: those of two clients must differ
}

/** What client.cc prints at its end. */
export interface ClientReport {
  readonly batches: number;
  readonly replies: number;
  readonly closed: number;
  readonly wrong: number;
  readonly unanswered: number;
  readonly lateMaxUs: number; // the longest that the client itself was late with a write
  readonly firstError: string;
}

/** Returns the program's path. Throws with the compiler's words. */
export function compileClient(folder: string): string {
  const path = join(folder, 'client');
  execFileSync('g++', [...FLAGS, join(HOME, 'bench/upgrade/client.cc'), '-o', path],
    { stdio: ['ignore', 'ignore', 'pipe'] });
  return path;
}

export class Client {
  readonly #service: Service;
  readonly #log: string;
  readonly #file: string;
  readonly #load: Load;

  private constructor(service: Service, log: string, file: string, load: Load) {
    this.#service = service;
    this.#log = log;
    this.#file = file;
    this.#load = load;
  }

  /** Resolves when every session is open and has set its keys. `command` ends with the program. */
  static async start(
    processes: Processes, folder: string, name: string, command: readonly string[], port: number,
    load: Load,
  ): Promise<Client> {
    const isIdle = load.periodMs === IDLE;
    const file = isIdle ? '-' : join(folder, `${name}.samples`);
    const periodUs = isIdle ? IDLE : Math.round(load.periodMs * 1000);
    const service = processes.start(name, [
      ...command, ...[port, load.sessions, load.depth, periodUs, load.firstId].map(String), file,
    ]);
    const client = new Client(service, join(folder, `${name}.log`), file, load);
    await client.#ready();
    return client;
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_PATIENCE_MS;
    while (!readFileSync(this.#log, 'latin1').includes('ready\n')) {
      if (this.#service.ended || Date.now() > deadline) {
        throw new Error(`${this.#service.name} did not start: ${this.#service.lastWords()}`);
      }
      await sleep(20);
    }
  }

  /** Ends the client. Throws when it died before. */
  async finish(): Promise<ClientReport> {
    await this.#service.stop();
    const line = readFileSync(this.#log, 'latin1').trim().split('\n').at(-1)!;
    if (!line.startsWith('{')) throw new Error(`${this.#service.name} died: ${line}`);
    return JSON.parse(line) as ClientReport;
  }

  /** After finish(). */
  samples(): Samples {
    return readSamples(readFileSync(this.#file), this.#load.sessions);
  }
}
