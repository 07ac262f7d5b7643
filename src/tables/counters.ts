/**
 * What the lanes counted, summed when somebody reads.
 *
 * A counter is a float64 column with one writer, the owner of its lane, so counting is one store
 * and reading is a sum over lanes. Totals never go backwards, although lanes come and go:
 *
 *   open lanes ──sum──►┐
 *                      ├─► read()       by name of pool and server, because a reload gives
 *   carried   ──sum──►┘                 them other rows (the other half of the tables)
 *      ▲
 *      └── carry(lane), closeHalf(half): just before the memory of a lane, or the rows of a
 *          half, are given back or written anew
 *
 * So a lane's counters may only be zeroed by releasing its extent, and only after carry(). What is
 * true of this moment only (connections, queues, failures in a row) is a gauge and is not carried.
 */
import { assert } from '../base/assert.js';
import {
  Backend, BackendCounter, CommandCounter, Histogram, LaneCounter, Pool, PoolCounter, TableNumber,
} from './columns.gen.js';

/** The part of shm/segment's Views that reading needs. */
export interface CounterViews {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

/** The part of shm/plan's InstancePlan that reading needs. */
export interface CounterPlan {
  readonly tableBase: readonly number[]; // by TableNumber, bytes; lane tables: within the extent
  readonly capacities: { readonly pools: number; readonly commands: number };
  readonly sharedBytes: number; // instance tables
  readonly laneBytes: number; // one lane's extent
}

/** Settings of pools satisfy this. */
export interface NamedPool {
  readonly name: string;
  readonly servers: readonly { readonly name: string }[];
}

export interface OpenLane {
  readonly row: number; // in the lane table
  readonly number: number; // 0 to worker_processes - 1, the same in both halves
  readonly half: number;
  readonly views: CounterViews;
}

export interface ServerTotals {
  readonly counts: Float64Array; // by BackendCounter
  readonly latency: Float64Array; // buckets of tables/histogram
  ejections: number;
  ejectedAtUs: number; // wall clock, 0 = never
  live: boolean;
}

export interface PoolTotals {
  readonly counts: Float64Array; // by PoolCounter
  readonly latency: Float64Array;
  ejections: number; // of all its servers, those that were removed included
  readonly servers: Map<string, ServerTotals>;
}

/** Of everything, what has been removed from the configuration included. */
export interface InstanceTotals {
  readonly lane: Float64Array; // by LaneCounter
  readonly pool: Float64Array; // by PoolCounter
  readonly server: Float64Array; // by BackendCounter
}

export interface Totals {
  readonly pools: Map<string, PoolTotals>; // newest configuration first, in its order
  readonly lanes: Map<number, Float64Array>; // by lane number, then by LaneCounter
  readonly commands: Float64Array; // command id * CommandCounter.RowDoubles + column
  readonly instance: InstanceTotals;
}

interface ServerRow { readonly name: string; readonly row: number }
interface PoolRow extends ServerRow { readonly servers: readonly ServerRow[] }
interface OpenHalf { readonly half: number; readonly pools: readonly PoolRow[] }

const POOL_GAUGES = [PoolCounter.ClientConnections];
const SERVER_GAUGES = [
  BackendCounter.Connections, BackendCounter.InQueue, BackendCounter.InQueueBytes,
  BackendCounter.Failures,
];
const NO_GAUGES: number[] = [];

export class CounterSource {
  private readonly halves: OpenHalf[] = []; // the newest last
  private readonly open: OpenLane[] = [];
  private readonly carried: Totals;
  private readonly gone = noInstanceTotals();

  /** `shared`: views of the instance tables, at the offsets of `plan`. */
  constructor(readonly plan: CounterPlan, readonly shared: CounterViews) {
    this.carried = noTotals(plan.capacities.commands);
  }

  get lanes(): readonly OpenLane[] {
    return this.open;
  }

  /**
   * Begins to read a half whose pool and backend rows have been written. `pools` in the order of
   * their rows, from `firstPool` on; each pool's servers likewise from its first_backend on.
   */
  openHalf(half: number, pools: readonly NamedPool[], firstPool: number): void {
    assert(!this.halves.some((each) => each.half === half), 'a half is closed before it is reused');
    const rows = pools.map((pool, index): PoolRow => {
      const row = firstPool + index;
      const first = this.shared.words[this.poolWord(row) + Pool.FirstBackend];
      const servers = pool.servers.map(({ name }, at): ServerRow => ({ name, row: first + at }));
      return { name: pool.name, row, servers };
    });
    this.halves.push({ half, pools: rows });
    this.forgetRemoved();
  }

  /**
   * Keeps what a half has counted and stops reading it. To be called before its lanes are released
   * and before its rows are written for another configuration.
   */
  closeHalf(half: number): void {
    const at = this.halves.findIndex((each) => each.half === half);
    assert(at >= 0, 'only an open half is closed');
    for (const lane of this.open.filter((each) => each.half === half)) this.carry(lane.row);
    this.addEjections(this.carried, this.halves[at]);
    this.halves.splice(at, 1);
    this.forgetRemoved();
    this.forgetLanes();
  }

  /** Begins to read a lane; its extent must have been allocated. */
  openLane(lane: OpenLane): void {
    const isOpen = this.open.some((each) => each.row === lane.row);
    assert(!isOpen, 'a lane is carried before it is reused');
    this.open.push(lane);
  }

  /**
   * Keeps what a lane has counted and stops reading it. To be called when nobody writes the lane
   * any more and before its extent is released. A lane that is not open is left alone.
   */
  carry(row: number): void {
    const at = this.open.findIndex((each) => each.row === row);
    if (at < 0) return;
    this.addLane(this.carried, this.open[at], false);
    this.open.splice(at, 1);
  }

  /** One column of one row of a lane table, summed over the open lanes, nothing carried. */
  sum(table: TableNumber, rowDoubles: number, row: number, column: number): number {
    const index = this.plan.tableBase[table] / 8 + row * rowDoubles + column;
    let total = 0;
    for (const lane of this.open) total += lane.views.doubles[index];
    return total;
  }

  /** Everything as of now; the caller may keep and change it. */
  read(): Totals {
    const totals = noTotals(this.plan.capacities.commands);
    for (const half of [...this.halves].reverse()) {
      for (const { name, servers } of half.pools) {
        const pool = poolOf(totals, name);
        for (const server of servers) serverOf(pool, server.name);
      }
    }
    addTotals(totals, this.carried);
    for (const half of this.halves) this.addEjections(totals, half);
    for (const lane of this.open) this.addLane(totals, lane, true);
    addArray(totals.instance.lane, this.gone.lane);
    addArray(totals.instance.pool, this.gone.pool);
    addArray(totals.instance.server, this.gone.server);
    sumUp(totals);
    return totals;
  }

  private addLane(into: Totals, lane: OpenLane, gauges: boolean): void {
    const { doubles } = lane.views;
    const base = (table: TableNumber): number => this.plan.tableBase[table] / 8;
    addRow(laneOf(into, lane.number), doubles, base(TableNumber.LaneCounter), NO_GAUGES);
    addRow(into.commands, doubles, base(TableNumber.CommandCounter), NO_GAUGES);

    const half = this.halves.find((each) => each.half === lane.half);
    assert(half !== undefined, 'the half of an open lane is open');
    const [poolCounters, serverCounters] = [
      base(TableNumber.PoolCounter), base(TableNumber.BackendCounter),
    ];
    const histograms = base(TableNumber.Histogram);
    const serverHistograms = histograms + this.plan.capacities.pools * Histogram.RowDoubles;
    for (const { name, row, servers } of half.pools) {
      const pool = poolOf(into, name);
      const poolCounter = poolCounters + row * PoolCounter.RowDoubles;
      addRow(pool.counts, doubles, poolCounter, gauges ? NO_GAUGES : POOL_GAUGES);
      addRow(pool.latency, doubles, histograms + row * Histogram.RowDoubles, NO_GAUGES);
      for (const { name: serverName, row: serverRow } of servers) {
        const server = serverOf(pool, serverName);
        const serverCounter = serverCounters + serverRow * BackendCounter.RowDoubles;
        addRow(server.counts, doubles, serverCounter, gauges ? NO_GAUGES : SERVER_GAUGES);
        const histogram = serverHistograms + serverRow * Histogram.RowDoubles;
        addRow(server.latency, doubles, histogram, NO_GAUGES);
      }
    }
  }

  private addEjections(into: Totals, half: OpenHalf): void {
    const base = this.plan.tableBase[TableNumber.Backend];
    for (const { name, servers } of half.pools) {
      const pool = poolOf(into, name);
      for (const { name: serverName, row } of servers) {
        const server = serverOf(pool, serverName);
        const words = base / 4 + row * Backend.RowWords;
        const doubles = base / 8 + row * Backend.RowDoubles;
        const ejectedAt = this.shared.doubles[doubles + Backend.EjectedAt];
        const ejections = this.shared.words[words + Backend.Ejections];
        server.ejections += ejections;
        pool.ejections += ejections;
        server.ejectedAtUs = Math.max(server.ejectedAtUs, ejectedAt);
        server.live = this.shared.words[words + Backend.Live] !== 0; // the newest half comes last
      }
    }
  }

  /** What no open half names any more keeps counting in the instance's totals only. */
  private forgetRemoved(): void {
    if (this.halves.length === 0) return;
    const { carried, gone } = this;
    for (const [name, pool] of carried.pools) {
      const rows = this.halves.flatMap((half) => half.pools.filter((each) => each.name === name));
      for (const [serverName, server] of pool.servers) {
        if (rows.some(({ servers }) => servers.some((each) => each.name === serverName))) continue;
        addArray(gone.server, server.counts);
        pool.servers.delete(serverName);
      }
      if (rows.length > 0) continue;
      addArray(gone.pool, pool.counts);
      carried.pools.delete(name);
    }
  }

  private forgetLanes(): void {
    if (this.open.length === 0) return;
    for (const [number, counts] of this.carried.lanes) {
      if (this.open.some((lane) => lane.number === number)) continue;
      addArray(this.gone.lane, counts);
      this.carried.lanes.delete(number);
    }
  }

  private poolWord(row: number): number {
    return this.plan.tableBase[TableNumber.Pool] / 4 + row * Pool.RowWords;
  }
}

function noInstanceTotals(): InstanceTotals {
  return {
    lane: new Float64Array(LaneCounter.RowDoubles),
    pool: new Float64Array(PoolCounter.RowDoubles),
    server: new Float64Array(BackendCounter.RowDoubles),
  };
}

function noTotals(commands: number): Totals {
  return {
    pools: new Map(),
    lanes: new Map(),
    commands: new Float64Array(commands * CommandCounter.RowDoubles),
    instance: noInstanceTotals(),
  };
}

function laneOf(totals: Totals, number: number): Float64Array {
  let counts = totals.lanes.get(number);
  if (counts === undefined) {
    counts = new Float64Array(LaneCounter.RowDoubles);
    totals.lanes.set(number, counts);
  }
  return counts;
}

function poolOf(totals: Totals, name: string): PoolTotals {
  let pool = totals.pools.get(name);
  if (pool === undefined) {
    const counts = new Float64Array(PoolCounter.RowDoubles);
    const latency = new Float64Array(Histogram.RowDoubles);
    pool = { counts, latency, ejections: 0, servers: new Map() };
    totals.pools.set(name, pool);
  }
  return pool;
}

function serverOf(pool: PoolTotals, name: string): ServerTotals {
  let server = pool.servers.get(name);
  if (server === undefined) {
    const counts = new Float64Array(BackendCounter.RowDoubles);
    const latency = new Float64Array(Histogram.RowDoubles);
    server = { counts, latency, ejections: 0, ejectedAtUs: 0, live: true };
    pool.servers.set(name, server);
  }
  return server;
}

function addTotals(into: Totals, from: Totals): void {
  for (const [number, counts] of from.lanes) addArray(laneOf(into, number), counts);
  addArray(into.commands, from.commands);
  for (const [name, pool] of from.pools) {
    const sum = poolOf(into, name);
    addArray(sum.counts, pool.counts);
    addArray(sum.latency, pool.latency);
    sum.ejections += pool.ejections;
    for (const [serverName, server] of pool.servers) {
      const serverSum = serverOf(sum, serverName);
      addArray(serverSum.counts, server.counts);
      addArray(serverSum.latency, server.latency);
      serverSum.ejections += server.ejections;
      serverSum.ejectedAtUs = Math.max(serverSum.ejectedAtUs, server.ejectedAtUs);
    }
  }
}

function sumUp({ instance, lanes, pools }: Totals): void {
  for (const counts of lanes.values()) addArray(instance.lane, counts);
  for (const pool of pools.values()) {
    addArray(instance.pool, pool.counts);
    for (const server of pool.servers.values()) addArray(instance.server, server.counts);
  }
}

function addArray(into: Float64Array, from: Float64Array): void {
  addRow(into, from, 0, NO_GAUGES);
}

/** Adds as many doubles as `into` has, from index `at` on, all but the columns in `without`. */
function addRow(
  into: Float64Array, from: Float64Array, at: number, without: readonly number[],
): void {
  for (let column = 0; column < into.length; column++) {
    if (!without.includes(column)) into[column] += from[at + column];
  }
}
