/**
 * A lane without JavaScript under an exact load, whose owners die by the thousand
 * (test/native/bare): the quick half of a torture. What it leaves out, what TypeScript decides and
 * masters do, is the other half's (torture.ts).
 */
import { join } from 'node:path';
import { spawnChild } from '../support/children.js';
import { ExactLoad, type ExactPlan } from '../support/exact-load.js';
import { Faults } from '../support/faults.js';
import { freePort } from '../support/free-port.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';
import type { KillKind } from './kills.js';
import { Tally, type Verdict } from './tally.js';
import { Urgent } from './urgent.js';

export interface BareOptions {
  readonly name: string;
  readonly program: string; // of buildBareLane
  readonly seed: number;
  readonly kills: number;
  readonly kinds?: readonly KillKind[];
  readonly places?: readonly string[]; // names in native/fault.h; none: all
  readonly sizes?: { readonly [name: string]: number }; // see Options in place.h
  readonly plan?: Partial<ExactPlan>;
  readonly patienceMs?: number; // of all kills together
}

const CAST = {
  mixed: 12, counter: 6, split: 4, half: 4, slow: 1, big: 1, visitor: 4, shaky: 4, wire: 6,
  idle: 2,
};
const PATIENCE_MS = 60_000;
const LOOK_EVERY_MS = 300;

/** The tables, regions and limits that make every queue run full. */
export const TINY = {
  requests: 160, descriptors: 160, receipts: 24, arena: 400 << 10, arguments: 3 << 15,
  requests_max: 8, queue_limit: 16 << 10, pool_bytes: 24 << 20, output_limit: 24 << 20,
};
/** … and values that fit. */
export const TINY_PLAN: Partial<ExactPlan> = { slowBytes: 2 << 20, bigBytes: 1 << 20 };

/** Kills until it is done or something goes wrong. */
export async function tortureBare(
  scope: Scope, options: BareOptions, tally = new Tally(),
): Promise<Verdict & { readonly tally: Tally }> {
  const trouble: string[] = [];
  const tell = (text: string): void => {
    trouble.push(`${options.name}, seed ${options.seed}, kill ${tally.kills}: ${text}`);
  };
  const lane = await BareLane.start(scope, options, tally);
  const load = await ExactLoad.start(scope, {
    addresses: [lane.port], wire: lane.path, shaky: lane.shakyPort, cast: CAST,
    prefix: `${lane.port}:`, requestsPerSecond: 2500, patienceMs: PATIENCE_MS, seed: options.seed,
    ...options.plan,
  });
  const urgent = await Urgent.start(scope, lane.port, options.seed);
  lane.go();
  let last = '';
  const look = async (): Promise<boolean> => {
    if (lane.error !== '') return true;
    const { closes, errors, mismatches, stuck, trouble: words } = await load.report();
    last = `${closes} closed, ${errors} errors, ${mismatches} mismatches, ${stuck} stuck: `
      + words.slice(0, 3).join('; ');
    return closes + errors + mismatches + stuck > 0 || urgent.hasFailed || lane.isDone;
  };
  await waitFor('all kills', look, options.patienceMs ?? 3_600_000, LOOK_EVERY_MS)
    .catch((error: Error) => tell(error.message));
  const isWhole = trouble.length === 0 && lane.error === '' && lane.isDone && !urgent.hasFailed;
  let [replies, pardoned, cuts] = [0, 0, 0];
  if (isWhole) {
    replies = await urgent.end().catch((error: Error) => (tell(`urgent: ${error.message}`), 0));
    const report = await load.finish();
    last = `${report.closes} closed, ${report.errors} errors, ${report.mismatches} mismatches, `
      + `${report.owed} owed: ${report.trouble.slice(0, 3).join('; ')}`;
    replies += report.replies;
    ({ pardoned, cuts } = report);
    const isFlawless = report.closes + report.errors + report.mismatches + report.owed === 0;
    if (!isFlawless) tell(last);
    await lane.end().catch((error: Error) => tell(error.message));
  } else {
    tell(`${last} ${urgent.words}`);
  }
  if (lane.error !== '') tell(lane.error);
  return { trouble, replies, pardoned, cuts, tally };
}

class BareLane {
  error = '';
  isDone = false;
  #isServing = false;
  #isFine = false;
  #rest = '';
  readonly #child: ReturnType<typeof spawnChild>;

  private constructor(
    program: string, args: readonly string[], environment: NodeJS.ProcessEnv,
    readonly port: number, readonly shakyPort: number, readonly path: string,
    private readonly tally: Tally,
  ) {
    this.#child = spawnChild(program, args, {
      stdio: 'pipe', env: { ...process.env, ...environment },
    });
    this.#child.stdout!.on('data', (bytes: Buffer) => this.#hear(bytes.toString()));
    this.#child.stderr!.on('data', (bytes: Buffer) => { this.error += bytes.toString(); });
    this.#child.once('exit', (code, signal) => {
      if (code !== 0) this.error += `the lane's program ended with ${signal ?? code}`;
    });
    this.#child.stdin!.on('error', () => {});
  }

  static async start(scope: Scope, options: BareOptions, tally: Tally): Promise<BareLane> {
    const directory = scratch(scope);
    const servers = await Promise.all(Array.from({ length: 3 }, (_, i) =>
      Redis.start(scope, ['--unixsocket', join(directory, `redis${i}.sock`)])));
    const shaky = await Redis.start(scope);
    const [port, shakyPort] = [await freePort(), await freePort()];
    const path = join(directory, 'lane.sock');
    const facts = {
      port, shaky_port: shakyPort, path, shaky_server: shaky.port, seed: options.seed,
      kills: options.kills, servers: servers.map((server) => server.port).join(','),
      paths: servers.map((_, i) => join(directory, `redis${i}.sock`)).join(','),
      ...options.kinds !== undefined && options.kinds.length > 0
        ? { kinds: options.kinds.join(',') } : {},
      ...options.places !== undefined && options.places.length > 0
        ? { places: options.places.join(',') } : {},
      ...options.sizes,
    };
    const args = Object.entries(facts).map(([name, value]) => `${name}=${value}`);
    const faults = Faults.open(scope);
    const lane = new BareLane(options.program, args, { BATON_FAULTS: faults.file },
      port, shakyPort, path, tally);
    scope.teardown(() => lane.#child.kill('SIGKILL'));
    await waitFor('the lane to be served', () => lane.#isServing || lane.error);
    return lane;
  }

  go(): void {
    this.#child.stdin!.write('\n');
  }

  /** The last owner leaves; nothing must be left. */
  async end(): Promise<void> {
    this.#child.stdin!.end();
    await waitFor('the lane to end', () => this.#isFine || this.error, PATIENCE_MS);
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const [what, kind, place] = line.split(' ');
      if (what === 'killed') this.tally.count(kind as KillKind, place!);
      if (what === 'missed') this.tally.miss(kind!);
      this.#isServing ||= what === 'serving';
      this.isDone ||= what === 'done';
      this.#isFine ||= what === 'fine';
    }
  }
}
