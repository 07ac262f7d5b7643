/**
 * A load that checks itself: hundreds of sessions in a process of their own, each of which knows
 * every byte that it must receive. Whatever happens to the proxy meanwhile, the counts of closes,
 * errors and mismatches must stay 0.
 *
 *   const load = await ExactLoad.start(t, { addresses: [baton.port], cast: { mixed: 50, big: 1 } });
 *   … reload, upgrade, kill …
 *   await load.round();                      // everybody is still served
 *   isFlawless(t, await load.finish());
 */
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { spawnChild } from './children.js';
import type { Role } from './exact-roles.js';
import { bulkOf } from './exact-values.js';
import { FakeBackend } from './fake-backend.js';
import type { Scope } from './scope.js';
import { waitFor, within } from './wait-for.js';

export interface ExactPlan {
  readonly addresses: readonly (number | string)[]; // sessions are dealt out among them
  readonly cast: { readonly [role in Role]?: number };
  readonly depth: number; // requests of a pipeline
  readonly requestsPerSecond: number; // of the brisk sessions together
  readonly seed: number;
  readonly prefix: string; // of all keys
  readonly late?: { readonly address: number | string; readonly timeoutMs: number };
  readonly shaky?: number | string; // address of a pool whose servers come and go
  readonly wire?: number | string; // address of a pool that is reached by unix sockets
  readonly slowBytes: number; // of values that are read slowly: more than the kernel's buffers take
  readonly bigBytes: number; // of values that are sent in pieces
  readonly patienceMs: number; // who has waited longer for a reply is stuck
}

export interface ExactReport {
  readonly sessions: number;
  readonly requests: number;
  readonly replies: number; // that were as they must be
  readonly closes: number;
  readonly cuts: number; // closes of roles that reckon with them
  readonly errors: number;
  readonly pardoned: number; // errors of roles that reckon with them
  readonly mismatches: number;
  readonly stuck: number; // sessions that got no reply within plan.patienceMs
  readonly owed: number; // replies
  readonly stallMs: number; // the longest that a brisk session waited for a reply
  readonly byRole: { readonly [role: string]: number }; // replies
  readonly trouble: readonly string[]; // what went wrong, in words
}

export type Order = { readonly number: number }
  & ({ readonly name: 'start'; readonly plan: ExactPlan }
    | { readonly name: 'report' | 'go' }
    | { readonly name: 'round' | 'hold' | 'finish'; readonly patienceMs: number });

export interface Answer {
  readonly number: number;
  readonly report: ExactReport;
}

interface Waiting {
  resolve(report: ExactReport): void;
  reject(error: Error): void;
}

type Told = Order extends infer Each ? Each extends Order ? Omit<Each, 'number'> : never : never;

const DRIVER = fileURLToPath(new URL('./exact-driver.js', import.meta.url));
const START_PATIENCE_MS = 45_000;
/** Ten megabytes may wait for the cold start of a lane, on a slow machine. */
const ROUND_PATIENCE_MS = 45_000;
const FINISH_PATIENCE_MS = 25_000;
const REPLIES_MIN = 5; // of a role: more than its handshake and its last questions have

export class ExactLoad {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, Waiting>();
  #orders = 0;
  #output = '';
  #isOver = false;

  private constructor() {
    this.#child = spawnChild(process.execPath, ['--enable-source-maps', DRIVER],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    const collect = (bytes: Buffer): void => { this.#output += bytes.toString(); };
    this.#child.stdout!.on('data', collect);
    this.#child.stderr!.on('data', collect);
    this.#child.on('exit', () => {
      this.#isOver = true;
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`the load's process ended: ${this.#output}`));
      }
    });
    this.#child.on('message', ({ number, report }: Answer) => {
      this.#waiting.get(number)?.resolve(report);
      this.#waiting.delete(number);
    });
  }

  /** Resolves when all sessions are open and introduced; then the load runs. */
  static async start(
    scope: Scope, plan: Pick<ExactPlan, 'addresses' | 'cast'> & Partial<ExactPlan>,
  ): Promise<ExactLoad> {
    const load = new ExactLoad();
    scope.teardown(() => load.#end());
    const whole: ExactPlan = {
      depth: 4, requestsPerSecond: 5000, seed: process.pid, prefix: '', patienceMs: 10_000,
      slowBytes: 3 << 20, bigBytes: 10 << 20, ...plan,
    };
    const report = await load.#tell({ name: 'start', plan: whole }, START_PATIENCE_MS);
    if (report.trouble.length > 0 || report.owed > 0) {
      throw new Error(`the load did not start, ${report.owed} replies are owed: `
        + report.trouble.join('\n'));
    }
    return load;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  report(): Promise<ExactReport> {
    return this.#tell({ name: 'report' }, ROUND_PATIENCE_MS);
  }

  /** Resolves when every mixed, counting and splitting session has an answer to a new request. */
  round(): Promise<ExactReport> {
    const patienceMs = ROUND_PATIENCE_MS;
    return this.#tell({ name: 'round', patienceMs }, patienceMs * 2);
  }

  /** Lets all replies come in and sends nothing new, so that nothing is under way. */
  hold(): Promise<ExactReport> {
    const patienceMs = FINISH_PATIENCE_MS;
    return this.#tell({ name: 'hold', patienceMs }, patienceMs * 2);
  }

  /** Ends hold(). */
  go(): Promise<ExactReport> {
    return this.#tell({ name: 'go' }, ROUND_PATIENCE_MS);
  }

  /** All replies, a last question to each session, the end. */
  async finish(): Promise<ExactReport> {
    const patienceMs = FINISH_PATIENCE_MS;
    const report = await this.#tell({ name: 'finish', patienceMs }, patienceMs * 3);
    await this.#end();
    return report;
  }

  #tell(order: Told, patienceMs: number): Promise<ExactReport> {
    const number = this.#orders += 1;
    const answered = new Promise<ExactReport>((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#child.send({ number, ...order });
    });
    return within(`the load to ${order.name}; it said ${this.#output}`, answered, patienceMs);
  }

  async #end(): Promise<void> {
    if (this.#isOver) return;
    this.#child.disconnect();
    await waitFor('the load to end', () => this.#isOver);
  }
}

/** Fails the test unless nothing went wrong, and every role has done something. */
export function isFlawless(t: Pick<Test, 'same'>, report: ExactReport): void {
  const { closes, errors, mismatches, stuck, owed, trouble, replies, sessions, stallMs } = report;
  const lazy = Object.keys(report.byRole).filter((role) => report.byRole[role]! < REPLIES_MIN);
  t.same({ closes, errors, mismatches, stuck, owed, trouble, lazy },
    { closes: 0, errors: 0, mismatches: 0, stuck: 0, owed: 0, trouble: [], lazy: [] },
    `${replies} replies to ${sessions} sessions, the slowest after ${stallMs} ms`);
}

/**
 * A server for the role `late`, to be reached through a pool with that timeout: it answers what is
 * called early in time, and what is called late long after the proxy has answered in its place.
 * In between it is never silent for a whole timeout, so its connection has no reason to be lost.
 */
export function lateServer(scope: Scope, timeoutMs: number): Promise<FakeBackend> {
  return FakeBackend.start(scope, (request) => {
    const [kind, owner, number] = String(request.args[0]).split(':');
    const isEarly = kind === 'early';
    const reply = isEarly ? bulkOf(Number(owner), Number(number), 64) : [Buffer.from('$1\r\nx\r\n')];
    setTimeout(() => request.reply(Buffer.concat(reply)), timeoutMs * (isEarly ? 0.6 : 1.4)).unref();
  });
}
