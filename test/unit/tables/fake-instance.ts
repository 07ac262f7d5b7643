/**
 * An instance's tables in plain arrays, without addon and without processes: what the master and
 * the lanes would have written, written by hand.
 */
import {
  Backend, BackendCounter, CommandCounter, Histogram, Lane, LaneCounter, LaneHead,
  PoolCounter, Superblock, TableNumber, Worker,
} from '../../../src/tables/columns.gen.js';
import { CounterSource, type CountedRoster, type CounterViews } from '../../../src/tables/counters.js';
import { bucketOf } from '../../../src/tables/histogram.js';
import { planInstance, type InstancePlan } from '../../../src/shm/plan.js';

/** Ids, the last of which is nobody's. */
export const POOLS = 4;
export const BACKENDS = 8;

export class FakeLane {
  readonly views: CounterViews;

  constructor(readonly plan: InstancePlan) {
    this.views = viewsOf(plan.tableBase[TableNumber.Session]!); // counters lie before the sessions
  }

  count(column: LaneCounter, by: number): void {
    this.add(TableNumber.LaneCounter, column, by);
  }

  countPool(id: number, column: PoolCounter, by: number): void {
    this.add(TableNumber.PoolCounter, id * PoolCounter.RowDoubles + column, by);
  }

  countServer(id: number, column: BackendCounter, by: number): void {
    this.add(TableNumber.BackendCounter, id * BackendCounter.RowDoubles + column, by);
  }

  countCommand(id: number, column: CommandCounter, by: number): void {
    this.add(TableNumber.CommandCounter, id * CommandCounter.RowDoubles + column, by);
  }

  poolLatency(id: number, us: number, times = 1): void {
    this.add(TableNumber.Histogram, id * Histogram.RowDoubles + bucketOf(us), times);
  }

  serverLatency(id: number, us: number, times = 1): void {
    this.poolLatency(POOLS + id, us, times);
  }

  head(column: LaneHead, value: number): void {
    this.views.words[this.plan.tableBase[TableNumber.LaneHead]! / 4 + column] = value;
  }

  private add(table: TableNumber, index: number, by: number): void {
    this.views.doubles[this.plan.tableBase[table]! / 8 + index]! += by;
  }
}

export class FakeInstance {
  readonly plan = planInstance({
    lanes: 2,
    pools: 2 * POOLS,
    backends: 2 * BACKENDS,
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
  readonly lanes = new Map<number, FakeLane>();

  constructor(startedAtMs = 1_700_000_000_000) {
    const { words, doubles } = this.shared;
    words[Superblock.MasterPid] = 4321;
    doubles[Superblock.StartedAt] = startedAtMs;
    doubles[Superblock.Bytes] = this.plan.bytes;
    doubles[Superblock.PoolBytesMax] = 1 << 20;
  }

  /** Writes the rows of a roster's servers into a half, all live, and reads by it. */
  follow(roster: CountedRoster, half = 0): void {
    for (const { backends } of roster.pools) {
      for (const { id } of backends) this.eject(half, id, 0, 0, true);
    }
    this.source.follow(roster, half);
  }

  /** Gives a lane memory and a worker, whose row is the lane's number + 1. */
  openLane(row: number, pid = 100 + row): FakeLane {
    const fake = new FakeLane(this.plan);
    this.lanes.set(row, fake);
    this.shared.doubles[this.laneWords(row) / 2 + Lane.Base] = this.plan.laneBase[row]!;
    this.laneWord(row, Lane.Owner, (row + 1) * 4 + 1);
    this.laneWord(row, Lane.State, 2);
    const worker = this.plan.tableBase[TableNumber.Worker]! / 4 + (row + 1) * Worker.RowWords;
    this.shared.words[worker + Worker.Pid] = pid;
    this.shared.doubles[worker / 2 + Worker.StartedAt] = 1_700_000_000_000 + row;
    this.source.openLanes((lane) => this.lanes.get(lane)!.views);
    return fake;
  }

  laneWord(row: number, column: Lane, value: number): void {
    this.shared.words[this.laneWords(row) + column] = value;
  }

  bookMemory(row: number, bytes: number): void {
    this.shared.doubles[this.laneWords(row) / 2 + Lane.PoolBytes] = bytes;
  }

  lanePause(row: number, us: number): void {
    this.shared.doubles[this.laneWords(row) / 2 + Lane.PauseUs] = us;
  }

  eject(half: number, id: number, ejections: number, ejectedAtUs: number, live: boolean): void {
    const base = this.plan.tableBase[TableNumber.Backend]!;
    const row = half * BACKENDS + id;
    const words = base / 4 + row * Backend.RowWords;
    this.shared.words[words + Backend.Live] = live ? 1 : 0;
    this.shared.words[words + Backend.Ejections] = ejections;
    this.shared.doubles[base / 8 + row * Backend.RowDoubles + Backend.EjectedAt] = ejectedAtUs;
  }

  private laneWords(row: number): number {
    return this.plan.tableBase[TableNumber.Lane]! / 4 + row * Lane.RowWords;
  }
}

/**
 * `roster('alpha: a b', 'beta: c')`: ids count up. `-` before a pool or a server: retired; `#5`
 * behind it: its id.
 */
export function roster(...pools: string[]): CountedRoster {
  let pool = 0;
  let backend = 0;
  return {
    pools: pools.map((text) => {
      const [head, servers] = text.split(':', 2) as [string, string];
      const { name, id, isRetired } = partOf(head.trim(), pool++);
      return {
        id, isRetired, settings: { name },
        backends: servers.trim().split(' ').filter((each) => each !== '').map((each) => {
          const part = partOf(each, backend++);
          return { id: part.id, isRetired: part.isRetired, server: { name: part.name } };
        }),
      };
    }),
  };
}

/** The same of names that may hold anything; nothing is retired, ids count up. */
export function numbered(
  pools: readonly { readonly name: string; readonly servers: readonly { readonly name: string }[] }[],
): CountedRoster {
  let backend = 0;
  return {
    pools: pools.map(({ name, servers }, id) => ({
      id, isRetired: false, settings: { name },
      backends: servers.map((server) => ({ id: backend++, isRetired: false, server })),
    })),
  };
}

function partOf(text: string, next: number): { name: string; id: number; isRetired: boolean } {
  const [, retired, name, id] = /^(-?)(.+?)(?:#(\d+))?$/.exec(text)!;
  return { name: name!, id: id === undefined ? next : Number(id), isRetired: retired === '-' };
}

function viewsOf(bytes: number): CounterViews {
  const buffer = new ArrayBuffer(bytes);
  return { words: new Int32Array(buffer), doubles: new Float64Array(buffer) };
}
