/**
 * Watches the canary lane of an upgrade for as long as the settings say. Only reads what lanes
 * count; src/master/canary.ts judges. What a lane had counted when it was taken is what the old
 * program did there; what has been added since, the new one.
 */
import { LaneCounter, Histogram, PoolCounter, TableNumber } from '../tables/columns.gen.js';
import type { CounterViews } from '../tables/counters.js';
import { quantile } from '../tables/histogram.js';
import { judge, type CanarySample, type Verdict } from './canary.js';
import type { Crew } from './crew.js';
import type { Instance } from './instance.js';

const LOOK_EVERY_MS = 200;
const ERRORS = [
  PoolCounter.ForwardError, PoolCounter.ErrorProtocol, PoolCounter.ErrorUnknown,
  PoolCounter.ErrorRefused, PoolCounter.ErrorCrossslot, PoolCounter.ErrorAuth,
  PoolCounter.ErrorTimeout, PoolCounter.ClosedOutput, PoolCounter.ClosedRequest,
] as const;

/** Totals since the instance's start. */
interface Counted {
  requests: number;
  errors: number;
  latency: Float64Array;
}

export class CanaryWatch {
  readonly #endsAt: number;
  readonly #others: readonly number[];
  readonly #before: Counted;
  readonly #besideBefore: Counted;
  readonly #timer: NodeJS.Timeout;

  /** From now on, for `forMs`; `look` is called at each change and a few times a second. */
  constructor(
    private readonly instance: Instance, private readonly crew: Crew, private readonly lane: number,
    forMs: number, changed: () => void,
  ) {
    this.#endsAt = performance.now() + forMs;
    this.#others = instance.lanes.filter((other) => other !== lane);
    this.#before = this.#count([lane]);
    this.#besideBefore = this.#count(this.#others);
    this.#timer = setInterval(changed, Math.max(1, Math.min(LOOK_EVERY_MS, forMs)));
  }

  /** Null: nothing bad so far, and the time is not over. */
  look(): Verdict | null {
    if (!this.crew.serves(this.lane)) return { isWell: false, why: 'its worker died' };
    const verdict = judge(
      since(this.#count([this.lane]), this.#before), sampleOf(this.#before),
      this.#others.length === 0 ? null : since(this.#count(this.#others), this.#besideBefore));
    if (!verdict.isWell) return verdict;
    return performance.now() < this.#endsAt ? null : verdict;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #count(lanes: readonly number[]): Counted {
    const counted = { requests: 0, errors: 0, latency: new Float64Array(Histogram.RowDoubles) };
    const { segment } = this.instance;
    for (const lane of lanes) this.#add(counted, segment.laneViews(lane));
    return counted;
  }

  #add(counted: Counted, { doubles }: CounterViews): void {
    const { tableBase, capacities } = this.instance.segment.plan;
    const pools = tableBase[TableNumber.PoolCounter]! / 8;
    const histograms = tableBase[TableNumber.Histogram]! / 8;
    for (let id = 0; id < capacities.pools / 2; id++) {
      const row = pools + id * PoolCounter.RowDoubles;
      counted.requests += doubles[row + PoolCounter.Requests]!;
      for (const column of ERRORS) counted.errors += doubles[row + column]!;
      const latency = histograms + id * Histogram.RowDoubles;
      for (let bucket = 0; bucket < Histogram.RowDoubles; bucket++) {
        counted.latency[bucket]! += doubles[latency + bucket]!;
      }
    }
    const lane = tableBase[TableNumber.LaneCounter]! / 8;
    counted.errors += doubles[lane + LaneCounter.AcceptErrors]!;
  }
}

function since(now: Counted, then: Counted): CanarySample {
  return sampleOf({
    requests: now.requests - then.requests,
    errors: now.errors - then.errors,
    latency: now.latency.map((held, bucket) => held - then.latency[bucket]!),
  });
}

function sampleOf({ requests, errors, latency }: Counted): CanarySample {
  return { requests, errors, latencyUs: quantile(latency, 0.99) };
}
