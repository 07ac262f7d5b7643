/**
 * An instance's tables in plain arrays, without addon and without processes: what the master and
 * the lanes would have written, written by hand.
 */
import {
  Backend, BackendCounter, CommandCounter, Histogram, Lane, LaneCounter, LaneHead, Pool,
  PoolCounter, Superblock, TableNumber,
} from '../../../src/tables/columns.gen.js';
import { CounterSource, type CounterViews, type NamedPool } from '../../../src/tables/counters.js';
import { bucketOf } from '../../../src/tables/histogram.js';
import { planInstance, type InstancePlan } from '../../../src/shm/plan.js';

export const POOLS_PER_HALF = 3;
export const BACKENDS_PER_HALF = 6;
export const LANES_PER_HALF = 2;

export class FakeLane {
  readonly views: CounterViews;

  constructor(readonly plan: InstancePlan) {
    this.views = viewsOf(plan.tableBase[TableNumber.Session]); // counters lie before the sessions
  }

  count(column: LaneCounter, by: number): void {
    this.add(TableNumber.LaneCounter, column, by);
  }

  countPool(row: number, column: PoolCounter, by: number): void {
    this.add(TableNumber.PoolCounter, row * PoolCounter.RowDoubles + column, by);
  }

  countServer(row: number, column: BackendCounter, by: number): void {
    this.add(TableNumber.BackendCounter, row * BackendCounter.RowDoubles + column, by);
  }

  countCommand(id: number, column: CommandCounter, by: number): void {
    this.add(TableNumber.CommandCounter, id * CommandCounter.RowDoubles + column, by);
  }

  poolLatency(row: number, us: number, times = 1): void {
    this.add(TableNumber.Histogram, row * Histogram.RowDoubles + bucketOf(us), times);
  }

  serverLatency(row: number, us: number, times = 1): void {
    this.poolLatency(this.plan.capacities.pools + row, us, times);
  }

  head(column: LaneHead, value: number): void {
    this.views.words[this.plan.tableBase[TableNumber.LaneHead] / 4 + column] = value;
  }

  private add(table: TableNumber, index: number, by: number): void {
    this.views.doubles[this.plan.tableBase[table] / 8 + index] += by;
  }
}

export class FakeInstance {
  readonly plan = planInstance({
    lanes: 2 * LANES_PER_HALF,
    pools: 2 * POOLS_PER_HALF,
    backends: 2 * BACKENDS_PER_HALF,
    sessions: 16,
    links: 16,
    requests: 16,
    commands: 4,
    routeWords: 64,
    confBytes: 4096,
    arenaBytes: 4096,
    poolBytesMax: 1 << 20,
  });
  readonly shared = viewsOf(this.plan.sharedBytes);
  readonly source = new CounterSource(this.plan, this.shared);

  constructor(startedAtMs = 1_700_000_000_000) {
    const { words, doubles } = this.shared;
    words[Superblock.MasterPid] = 4321;
    doubles[Superblock.StartedAt] = startedAtMs;
    doubles[Superblock.Bytes] = this.plan.bytes;
    doubles[Superblock.PoolBytesMax] = 1 << 20;
  }

  /** Writes the rows of a configuration into a half and opens it. */
  openHalf(half: number, pools: readonly NamedPool[]): void {
    let backend = half * BACKENDS_PER_HALF;
    pools.forEach(({ servers }, index) => {
      const pool = this.plan.tableBase[TableNumber.Pool] / 4
        + (half * POOLS_PER_HALF + index) * Pool.RowWords;
      this.shared.words[pool + Pool.FirstBackend] = backend;
      for (const _ of servers) this.eject(backend++, 0, 0, true);
    });
    this.source.openHalf(half, pools, half * POOLS_PER_HALF);
  }

  openLane(half: number, number: number, owner = 100 + number): FakeLane {
    const row = half * LANES_PER_HALF + number;
    const fake = new FakeLane(this.plan);
    this.laneWord(row, Lane.Owner, owner);
    this.laneWord(row, Lane.State, 2);
    this.source.openLane({ row, number, half, views: fake.views });
    return fake;
  }

  laneWord(row: number, column: Lane, value: number): void {
    const base = this.plan.tableBase[TableNumber.Lane] / 4;
    this.shared.words[base + row * Lane.RowWords + column] = value;
  }

  eject(row: number, ejections: number, ejectedAtUs: number, live: boolean): void {
    const base = this.plan.tableBase[TableNumber.Backend];
    const words = base / 4 + row * Backend.RowWords;
    this.shared.words[words + Backend.Live] = live ? 1 : 0;
    this.shared.words[words + Backend.Ejections] = ejections;
    this.shared.doubles[base / 8 + row * Backend.RowDoubles + Backend.EjectedAt] = ejectedAtUs;
  }
}

/** `named('alpha: a b', 'beta: c')` */
export function named(...pools: string[]): NamedPool[] {
  return pools.map((text) => {
    const [name, servers] = text.split(':', 2).map((part) => part.trim());
    return { name, servers: servers.split(' ').map((server) => ({ name: server })) };
  });
}

function viewsOf(bytes: number): CounterViews {
  const buffer = new ArrayBuffer(bytes);
  return { words: new Int32Array(buffer), doubles: new Float64Array(buffer) };
}
