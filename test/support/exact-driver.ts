/**
 * The process of an exact load: all sessions in one event loop, apart from that of the test, which
 * has other things to do. It is told what to do by messages and answers each by one of the same
 * name; when the test is gone, so is it.
 *
 *   start ─► open all sessions ─► ticks: every TICK_MS each session may act, brisk ones while the
 *   load's requests per second are not used up ─► finish: all replies in, last questions, closed
 */
import { Actor } from './exact-actor.js';
import type { Answer, ExactPlan, ExactReport, Order } from './exact-load.js';
import { actorOf, type Role } from './exact-roles.js';
import { Dice } from './seed.js';

const TICK_MS = 4;
const POLL_MS = 10;
const OPEN_PATIENCE_MS = 20_000;
const TROUBLE_MAX = 40;

class Load {
  readonly #actors: Actor[] = [];
  readonly #brisk: Actor[] = [];
  readonly #leisurely: Actor[] = [];
  #next = 0; // of the brisk ones
  #budget = 0; // requests that may be sent now
  #lastMs = performance.now();
  #isHeld = false;

  constructor(private readonly plan: ExactPlan) {}

  async open(): Promise<void> {
    const { plan } = this;
    const dice = new Dice(plan.seed);
    const roles = Object.entries(plan.cast).flatMap(([role, count]) =>
      Array.from({ length: count }, () => role as Role));
    for (const [id, role] of roles.entries()) {
      const addresses = role === 'late' ? [plan.late!.address]
        : role === 'shaky' ? [plan.shaky!] : role === 'wire' ? [plan.wire!] : plan.addresses;
      const actor = actorOf(role, {
        id, prefix: plan.prefix, depth: plan.depth, seed: dice.bits(),
        address: addresses[id % addresses.length]!, isResp3: (id & 2) !== 0,
        lateMs: plan.late?.timeoutMs ?? 0, slowBytes: plan.slowBytes, bigBytes: plan.bigBytes,
      });
      this.#actors.push(actor);
      actor.open(performance.now());
    }
    await this.#until(() => this.#areQuiet(), OPEN_PATIENCE_MS);
    for (const [id, actor] of this.#actors.entries()) {
      if ((id & 2) !== 0 && !actor.isOver) actor.introduce(performance.now());
    }
    await this.#until(() => this.#areQuiet(), OPEN_PATIENCE_MS);
    for (const actor of this.#actors) (actor.isBrisk ? this.#brisk : this.#leisurely).push(actor);
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** Until every session that always has something to do has an answer to a new request. */
  async round(patienceMs: number): Promise<void> {
    const marks = this.#brisk.map((actor) => ({ actor, mark: actor.requests + 1 }));
    await this.#until(() =>
      marks.every(({ actor, mark }) => actor.isOver || actor.replies + actor.errors >= mark),
    patienceMs);
  }

  /** Everything that is owed comes in; nothing new is asked until go(). */
  async hold(patienceMs: number): Promise<void> {
    this.#isHeld = true;
    for (const actor of this.#actors) actor.isHurried = true;
    await this.#until(() => this.#areQuiet(), patienceMs);
  }

  go(): void {
    this.#isHeld = false;
    for (const actor of this.#actors) actor.isHurried = false;
  }

  async finish(patienceMs: number): Promise<void> {
    await this.hold(patienceMs);
    for (const actor of this.#actors) if (!actor.isOver) actor.close(performance.now());
    await this.#until(() => this.#areQuiet(), patienceMs);
    for (const actor of this.#actors) actor.end();
  }

  report(): ExactReport {
    const nowMs = performance.now();
    const sum = (count: (actor: Actor) => number): number =>
      this.#actors.reduce((total, actor) => total + count(actor), 0);
    const worst = (actors: readonly Actor[]): number =>
      actors.reduce((most, { stallMs }) => Math.max(most, stallMs), 0);
    const stuck = this.#actors.filter((actor) => !actor.isOver
      && actor.waitedMs(nowMs) > this.plan.patienceMs);
    return {
      sessions: this.#actors.length,
      requests: sum(({ requests }) => requests),
      replies: sum(({ replies }) => replies),
      closes: sum(({ closes }) => closes),
      cuts: sum(({ cuts }) => cuts),
      errors: sum(({ errors }) => errors),
      pardoned: sum(({ pardoned }) => pardoned),
      mismatches: sum(({ mismatches }) => mismatches),
      stuck: stuck.length,
      owed: sum((actor) => actor.isOver ? 0 : actor.owed),
      stallMs: Math.round(worst(this.#brisk)),
      byRole: this.#byRole(),
      trouble: [...this.#actors.flatMap(({ trouble }) => trouble),
        ...stuck.map((actor) => actor.describe())].slice(0, TROUBLE_MAX),
    };
  }

  #byRole(): { [role: string]: number } {
    const replies: { [role: string]: number } = {};
    for (const actor of this.#actors) {
      replies[actor.role] = (replies[actor.role] ?? 0) + actor.replies;
    }
    return replies;
  }

  #tick(): void {
    const nowMs = performance.now();
    const passedMs = Math.min(100, nowMs - this.#lastMs); // a stall is not made up for
    this.#lastMs = nowMs;
    for (const actor of this.#leisurely) if (!actor.isOver) actor.act(nowMs);
    if (this.#isHeld) return;
    this.#budget = Math.min(this.#budget, 0) + passedMs * this.plan.requestsPerSecond / 1000;
    for (let seen = 0; seen < this.#brisk.length && this.#budget > 0; seen += 1) {
      const actor = this.#brisk[this.#next]!;
      this.#next = (this.#next + 1) % this.#brisk.length;
      if (!actor.isOver) this.#budget -= actor.act(nowMs);
    }
  }

  #areQuiet(): boolean {
    return this.#actors.every((actor) => actor.isOver || !actor.isBusy);
  }

  /** Time that runs out is no error here: the report tells who is stuck. */
  #until(condition: () => boolean, patienceMs: number): Promise<void> {
    const deadline = performance.now() + patienceMs;
    return new Promise((resolve) => {
      const look = (): void => {
        if (condition() || performance.now() > deadline) resolve();
        else setTimeout(look, POLL_MS);
      };
      look();
    });
  }
}

let load: Load | null = null;

async function obey(order: Order): Promise<void> {
  if (order.name === 'start') {
    load = new Load(order.plan);
    await load.open();
  } else if (order.name === 'round') await load!.round(order.patienceMs);
  else if (order.name === 'hold') await load!.hold(order.patienceMs);
  else if (order.name === 'go') load!.go();
  else if (order.name === 'finish') await load!.finish(order.patienceMs);
  const answer: Answer = { number: order.number, report: load!.report() };
  process.send!(answer);
}

process.on('message', (order: Order) => { void obey(order); });
process.on('disconnect', () => process.exit());
