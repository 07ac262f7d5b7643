/**
 * Sessions of an exact load whose requests carry urgent bytes: a program of its own, for Node cannot
 * send them (test/native/urgent.cc).
 */
import { spawnChild } from '../support/children.js';
import type { Scope } from '../support/scope.js';
import { within } from '../support/wait-for.js';
import { buildUrgent } from './bare-build.js';

const SESSIONS = 4;
const PATIENCE_MS = 60_000;
const WORDS_MAX = 2000;

export class Urgent {
  readonly #child: ReturnType<typeof spawnChild>;
  words = '';
  hasFailed = false;
  readonly #over: Promise<number | null>;

  private constructor(scope: Scope, program: string, args: readonly string[]) {
    this.#child = spawnChild(program, args, { stdio: 'pipe' });
    const hear = (bytes: Buffer): void => { this.words += bytes.toString('latin1').slice(0, WORDS_MAX); };
    this.#child.stdout!.on('data', hear);
    this.#child.stderr!.on('data', hear);
    this.#over = new Promise((resolve) => {
      this.#child.once('close', (code) => {
        this.hasFailed = code !== 0;
        resolve(code);
      });
    });
    scope.teardown(() => this.#child.kill('SIGKILL'));
  }

  static async start(scope: Scope, port: number, seed: number): Promise<Urgent> {
    const args = [String(port), String(SESSIONS), `${port}:`, String(seed)];
    return new Urgent(scope, await buildUrgent(), args);
  }

  /** How many replies were as they must be. */
  async end(): Promise<number> {
    this.#child.stdin!.end();
    const code = await within('the urgent sessions to end', this.#over, PATIENCE_MS);
    if (code !== 0) throw new Error(this.words);
    return Number(/^(\d+) checks$/m.exec(this.words)![1]);
  }
}
