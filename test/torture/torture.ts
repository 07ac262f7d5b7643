/**
 * One Baton that is tortured: its workers are killed again and again while sessions that check every
 * byte go on as if nothing happened.
 *
 *   const torture = await Torture.start(scope, { name: 'plain', seed: 1 });
 *   while (torture.kills < 1000) await torture.killOnce();
 *   const verdict = await torture.finish();      // verdict.trouble: what went wrong, in words
 *
 * Whatever the ways to die (kills.ts), what is expected is one: nothing closed, lost, doubled or out
 * of order, nothing leaked, nothing that does not add up, and no death but those that were wanted.
 */
import { join } from 'node:path';
import { WorkerState } from '../../src/shm/codes.js';
import { Baton } from '../support/baton.js';
import { ExactLoad, type ExactPlan, type ExactReport } from '../support/exact-load.js';
import { Faults } from '../support/faults.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { Dice } from '../support/seed.js';
import { pass, waitFor } from '../support/wait-for.js';
import { KillPlanner, type Kill, type KillKind } from './kills.js';
import { Restarts } from './restarts.js';
import { Tally, type Verdict } from './tally.js';
import { Urgent } from './urgent.js';

export interface TortureOptions {
  readonly name: string;
  readonly seed: number;
  readonly build?: string; // folder of the addon
  readonly kinds?: readonly KillKind[];
  readonly plan?: Partial<ExactPlan>;
  readonly global?: { readonly [directive: string]: string | number };
  readonly pool?: { readonly [directive: string]: string | number };
}

const CAST = {
  mixed: 12, counter: 6, split: 4, half: 4, slow: 1, big: 1, visitor: 4, shaky: 4, wire: 6,
  idle: 2,
};
const WORKERS = 2;
/** Small tables: a new owner looks at every row. */
const FILES = 2048;
const REQUESTS_PER_SECOND = 1500;
/** Who reads slowly may wait through many deaths for a whole reply. */
const PATIENCE_MS = 60_000;
const SERVED_PATIENCE_MS = 30_000;
/** A point that nobody comes to within this time is left alone. */
const HIT_PATIENCE_MS = 3000;
const RANDOM_DELAY_MS = 40;
const LOOK_EVERY_KILLS = 20;
const POLL_MS = 2;
/** Log lines that a torture has no part in. */
const UNWANTED = /"event":"(lane_damaged|worker_output|keeper_died|worker_not_started)"/;

export class Torture {
  readonly tally = new Tally();
  readonly trouble: string[] = [];
  readonly #dice: Dice;
  readonly #planner: KillPlanner;
  readonly #urgent: Urgent;
  #logSeen = 0; // bytes of the log that were looked through
  #looked = 0; // kills when the load was last asked

  private constructor(
    readonly options: TortureOptions, readonly baton: Baton, readonly load: ExactLoad,
    private readonly faults: Faults, private readonly shaky: Redis, urgent: Urgent,
  ) {
    this.#dice = new Dice(options.seed);
    this.#planner = new KillPlanner(this.#dice, options.kinds);
    this.#urgent = urgent;
  }

  static async start(scope: Scope, options: TortureOptions): Promise<Torture> {
    const faults = Faults.open(scope);
    const sockets = scratch(scope);
    const servers = await Promise.all(Array.from({ length: 3 }, (_, i) =>
      Redis.start(scope, ['--unixsocket', join(sockets, `redis${i}.sock`)])));
    const shaky = await Redis.start(scope);
    const path = join(sockets, 'baton.sock');
    const common = { preconnect: true, ...options.pool };
    const baton = await Baton.start(scope, {
      environment: {
        ...faults.environmentOf(options.build ?? 'build-faults'), BATON_WARM_UP: '0',
      },
      global: { worker_processes: WORKERS, max_openfiles: FILES, ...options.global },
      servers, pool: common,
      pools: {
        unix: {
          ...common, listen: path,
          servers: servers.map((_, i) => `${join(sockets, `redis${i}.sock`)}:1`),
        },
        shaky: { ...common, servers: [shaky.entry, servers[0]!.entry] },
      },
    });
    const load = await ExactLoad.start(scope, {
      addresses: [baton.port], wire: path, shaky: baton.ports.shaky!, cast: CAST,
      prefix: `${baton.port}:`, requestsPerSecond: REQUESTS_PER_SECOND, patienceMs: PATIENCE_MS,
      seed: options.seed, ...options.plan,
    });
    const urgent = await Urgent.start(scope, baton.port, options.seed);
    return new Torture(options, baton, load, faults, shaky, urgent);
  }

  get kills(): number {
    return this.tally.kills;
  }

  get isBroken(): boolean {
    return this.trouble.length > 0;
  }

  /** One plan of death, and until every lane is served again. */
  async killOnce(): Promise<void> {
    const kill = this.#planner.plan();
    if (kill.kind === 'restart') await this.restartOnce();
    else if (kill.charges.length === 0) await this.#killSomebody();
    else await this.#killAt(kill);
    await waitFor('every lane to be served', () => this.#isServed(), SERVED_PATIENCE_MS, POLL_MS)
      .catch((error: Error) => this.#tell(`${error.message} after ${describe(kill)}`));
    this.#readLog(kill);
    if (this.kills - this.#looked < LOOK_EVERY_KILLS) return;
    this.#looked = this.kills;
    this.#judge(await this.load.report(), `after ${describe(kill)}`);
  }

  /** All replies come in; then everything ends, and is counted. */
  async finish(): Promise<Verdict> {
    this.faults.disarm();
    const checks = await this.#urgent.end().catch((error: Error) => {
      this.#tell(`urgent bytes: ${error.message}`);
      return 0;
    });
    const report = await this.load.finish();
    this.#judge(report, 'at the end');
    if (report.owed > 0) this.#tell(`${report.owed} replies are owed at the end`);
    await this.baton.stop().catch((error: Error) => this.#tell(error.message));
    this.#readLog(null);
    return {
      trouble: this.trouble, replies: report.replies + checks, pardoned: report.pardoned,
      cuts: report.cuts,
    };
  }

  /** A hot restart in which workers die. */
  async restartOnce(): Promise<void> {
    const restarts = new Restarts(this.baton, this.#dice,
      (place) => this.tally.count('restart', place));
    await restarts.once().catch((error: Error) => this.#tell(error.message));
  }

  async #killSomebody(): Promise<void> {
    await pass(this.#dice.below(RANDOM_DELAY_MS));
    const pid = this.#dice.pick(this.baton.workers());
    if (pid === undefined) return;
    process.kill(pid, 'SIGKILL');
    this.tally.count('random', 'random');
    await waitFor('it to be dead', () => !isAlive(pid), SERVED_PATIENCE_MS, POLL_MS);
  }

  async #killAt(kill: Kill): Promise<void> {
    const { faults } = this;
    faults.armChain(kill.charges);
    await this.#stimulate(kill);
    const deadline = performance.now() + HIT_PATIENCE_MS * kill.charges.length;
    while (faults.hits.includes(0) && performance.now() < deadline) await pass(POLL_MS);
    faults.disarm();
    const { hits } = faults;
    for (const [i, { name }] of kill.charges.entries()) {
      if (hits[i] !== 0) this.tally.count(kill.kind, name);
      else if (i === 0 || hits[i - 1] !== 0) this.tally.miss(name);
    }
    for (const pid of hits.filter((hit) => hit !== 0)) {
      await waitFor('it to be dead', () => !isAlive(pid), SERVED_PATIENCE_MS, POLL_MS);
    }
  }

  async #stimulate({ stimulus }: Kill): Promise<void> {
    if (stimulus === 'death') await this.#killSomebody();
    if (stimulus === 'connect') await this.shaky.call('CLIENT', 'KILL', 'TYPE', 'normal');
    if (stimulus === 'reload') process.kill(this.baton.pid, 'SIGHUP');
  }

  #isServed(): boolean {
    const lanes = this.baton.lanes();
    return lanes.length === WORKERS && lanes.every(({ owner }) =>
      owner !== null && owner.state === WorkerState.Serving && isAlive(owner.pid));
  }

  #readLog(kill: Kill | null): void {
    const { log } = this.baton;
    const fresh = log.slice(this.#logSeen, log.lastIndexOf('\n') + 1);
    this.#logSeen += fresh.length;
    for (const line of fresh.split('\n')) {
      const isDeath = line.includes('"event":"worker_died"') && !line.includes('"how":"SIGKILL"');
      if (isDeath || UNWANTED.test(line)) {
        this.#tell(`${line} after ${kill === null ? 'the end' : describe(kill)}`);
      }
    }
  }

  #judge(report: ExactReport, when: string): void {
    const { closes, errors, mismatches, stuck } = report;
    if (closes + errors + mismatches + stuck === 0 && !this.#urgent.hasFailed) return;
    this.#tell(`${when}: ${closes} closed, ${errors} errors, ${mismatches} mismatches, `
      + `${stuck} stuck: ${report.trouble.slice(0, 3).join('; ')} ${this.#urgent.words}`);
  }

  #tell(text: string): void {
    this.trouble.push(`${this.options.name}, seed ${this.options.seed}, kill ${this.kills}: ${text}`);
  }
}

export function describe({ kind, charges }: Kill): string {
  return [kind, ...charges.map(({ name, after, steps }) =>
    `${name} (${after}${steps === undefined ? '' : `, then ${steps} instructions`})`)].join(' ');
}
