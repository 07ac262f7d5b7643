/**
 * What the lanes counted, summed when somebody reads.
 *
 * A counter is a float64 column with one writer, the owner of its lane, so counting is one store
 * and reading is a sum over lanes:
 *
 *   lane 0 │ pool_counter: a row per id │ backend_counter: a row per id │ …
 *   lane 1 │ …                             ▲
 *                                          └── the roster says whose id it is
 *
 * Lanes and ids outlive workers and configurations, so totals never go backwards: the rows of what
 * has been removed are still there and count in the sums over everything. When an id becomes
 * another's, what its rows have counted moves to the rows of the last id, which is nobody's. What
 * is true of this moment only (connections, queues, failures in a row) is a gauge and stays behind.
 */
import {
  Backend, BackendCounter, CommandCounter, Histogram, Lane, LaneCounter, PoolCounter, TableNumber,
} from './columns.gen.js';

/** The part of shm/segment's Views that reading needs. */
export interface CounterViews {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
}

/** The part of shm/plan's InstancePlan that reading needs. */
export interface CounterPlan {
  readonly tableBase: readonly number[]; // by TableNumber, bytes; lane tables: within the extent
  readonly capacities: {
    readonly lanes: number;
    readonly pools: number; // both halves
    readonly backends: number; // both halves
    readonly commands: number;
  };
  readonly sharedBytes: number; // instance tables
  readonly laneBytes: number; // one lane's extent
}

/** The part of a roster that reading needs. */
export interface CountedRoster { readonly pools: readonly CountedPool[] }

interface CountedPool {
  readonly id: number;
  readonly settings: { readonly name: string };
  readonly isRetired: boolean;
  readonly backends: readonly CountedBackend[];
}

interface CountedBackend {
  readonly id: number;
  readonly server: { readonly name: string };
  readonly isRetired: boolean;
}

export interface OpenLane {
  readonly row: number; // in the lane table: the lane's number
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
  readonly pools: Map<string, PoolTotals>; // in the roster's order; retired ones while they are used
  readonly lanes: Map<number, Float64Array>; // by lane, then by LaneCounter
  readonly commands: Float64Array; // command id * CommandCounter.RowDoubles + column
  readonly instance: InstanceTotals;
}

const POOL_GAUGES = [PoolCounter.ClientConnections];
const BACKEND_GAUGES = [
  BackendCounter.Connections, BackendCounter.InQueue, BackendCounter.InQueueBytes,
  BackendCounter.Failures,
];
const NO_GAUGES: number[] = [];

export class CounterSource {
  readonly #open = new Map<number, OpenLane>();
  #roster: CountedRoster = { pools: [] };
  #half = 0;

  /** `shared`: views of the instance tables, at the offsets of `plan`. */
  constructor(readonly plan: CounterPlan, readonly shared: CounterViews) {}

  /** From now on ids mean what `roster` says; rows of backend are those of `half`. */
  follow(roster: CountedRoster, half: number): void {
    this.#roster = roster;
    this.#half = half;
  }

  get lanes(): readonly OpenLane[] {
    return [...this.#open.values()];
  }

  /** Reads every lane that has memory; to be called again when lanes may have been added. */
  openLanes(viewsOf: (lane: number) => CounterViews): void {
    const base = this.plan.tableBase[TableNumber.Lane]! / 8;
    for (let row = 0; row < this.plan.capacities.lanes; row++) {
      if (this.#open.has(row)) continue;
      const extent = this.shared.doubles[base + row * Lane.RowDoubles + Lane.Base]!;
      if (extent !== 0) this.#open.set(row, { row, views: viewsOf(row) });
    }
  }

  /** Some lane has sessions of that pool. */
  hasClients(pool: number): boolean {
    const at = this.#poolRow(pool) + PoolCounter.ClientConnections;
    return this.#some((doubles) => doubles[at]! > 0);
  }

  /** Some lane is connected to that backend or owes replies of it. */
  hasLinks(backend: number): boolean {
    const at = this.#backendRow(backend);
    return this.#some((doubles) => doubles[at + BackendCounter.Connections]! > 0
      || doubles[at + BackendCounter.InQueue]! > 0);
  }

  /** Failures in a row of a backend, as one lane saw them. */
  failures({ views }: OpenLane, backend: number): number {
    return views.doubles[this.#backendRow(backend) + BackendCounter.Failures]!;
  }

  /** Makes an id ready for another pool. No lane may be using it. */
  clearPool(id: number): void {
    const nobody = this.#pools - 1;
    for (const { views: { doubles } } of this.#open.values()) {
      moveRow(doubles, this.#poolRow(id), this.#poolRow(nobody), PoolCounter.RowDoubles,
        POOL_GAUGES);
      moveRow(doubles, this.#latencyRow(id), this.#latencyRow(nobody), Histogram.RowDoubles,
        NO_GAUGES);
    }
  }

  /** Makes an id ready for another backend. No lane may be using it. */
  clearBackend(id: number): void {
    const nobody = this.#backends - 1;
    const latency = (backend: number): number => this.#latencyRow(this.#pools + backend);
    for (const { views: { doubles } } of this.#open.values()) {
      moveRow(doubles, this.#backendRow(id), this.#backendRow(nobody), BackendCounter.RowDoubles,
        BACKEND_GAUGES);
      moveRow(doubles, latency(id), latency(nobody), Histogram.RowDoubles, NO_GAUGES);
    }
  }

  /** Everything as of now; the caller may keep and change it. */
  read(): Totals {
    const totals = noTotals(this.plan.capacities.commands);
    for (const lane of this.#open.values()) this.#addLane(totals, lane);
    for (const pool of this.#roster.pools) {
      if (!pool.isRetired || this.#isPoolUsed(pool)) totals.pools.set(...this.#poolTotals(pool));
    }
    return totals;
  }

  #addLane({ lanes, commands, instance }: Totals, { row, views: { doubles } }: OpenLane): void {
    const counts = new Float64Array(LaneCounter.RowDoubles);
    addRow(counts, doubles, this.#base(TableNumber.LaneCounter));
    lanes.set(row, counts);
    addRow(instance.lane, counts, 0);
    addRow(commands, doubles, this.#base(TableNumber.CommandCounter));
    for (let id = 0; id < this.#pools; id++) addRow(instance.pool, doubles, this.#poolRow(id));
    for (let id = 0; id < this.#backends; id++) {
      addRow(instance.server, doubles, this.#backendRow(id));
    }
  }

  #isPoolUsed({ id, backends }: CountedPool): boolean {
    return this.hasClients(id) || backends.some((backend) => this.hasLinks(backend.id));
  }

  #poolTotals({ id, settings, backends }: CountedPool): [string, PoolTotals] {
    const pool: PoolTotals = {
      counts: new Float64Array(PoolCounter.RowDoubles),
      latency: new Float64Array(Histogram.RowDoubles), ejections: 0, servers: new Map(),
    };
    for (const { views: { doubles } } of this.#open.values()) {
      addRow(pool.counts, doubles, this.#poolRow(id));
      addRow(pool.latency, doubles, this.#latencyRow(id));
    }
    for (const backend of backends) this.#addBackend(pool, backend);
    return [settings.name, pool];
  }

  /** A server whose address has changed has a retired backend, too, under the same name. */
  #addBackend(pool: PoolTotals, { id, server: { name }, isRetired }: CountedBackend): void {
    const row = this.#half * this.#backends + id;
    const base = this.plan.tableBase[TableNumber.Backend]!;
    const words = base / 4 + row * Backend.RowWords;
    const doubles = base / 8 + row * Backend.RowDoubles;
    const ejections = this.shared.words[words + Backend.Ejections]!;
    pool.ejections += ejections;
    const known = pool.servers.get(name);
    if (known === undefined && isRetired && !this.hasLinks(id)) return;
    const server = known ?? noServer();
    pool.servers.set(name, server);
    server.ejections += ejections;
    server.ejectedAtUs =
      Math.max(server.ejectedAtUs, this.shared.doubles[doubles + Backend.EjectedAt]!);
    if (!isRetired) server.live = this.shared.words[words + Backend.Live] !== 0;
    for (const { views } of this.#open.values()) {
      addRow(server.counts, views.doubles, this.#backendRow(id));
      addRow(server.latency, views.doubles, this.#latencyRow(this.#pools + id));
    }
  }

  #some(isSo: (doubles: Float64Array) => boolean): boolean {
    for (const { views } of this.#open.values()) if (isSo(views.doubles)) return true;
    return false;
  }

  get #pools(): number {
    return this.plan.capacities.pools / 2;
  }

  get #backends(): number {
    return this.plan.capacities.backends / 2;
  }

  #poolRow(id: number): number {
    return this.#base(TableNumber.PoolCounter) + id * PoolCounter.RowDoubles;
  }

  #backendRow(id: number): number {
    return this.#base(TableNumber.BackendCounter) + id * BackendCounter.RowDoubles;
  }

  #latencyRow(row: number): number {
    return this.#base(TableNumber.Histogram) + row * Histogram.RowDoubles;
  }

  #base(table: TableNumber): number {
    return this.plan.tableBase[table]! / 8;
  }
}

function noServer(): ServerTotals {
  return {
    counts: new Float64Array(BackendCounter.RowDoubles),
    latency: new Float64Array(Histogram.RowDoubles), ejections: 0, ejectedAtUs: 0, live: true,
  };
}

function noTotals(commands: number): Totals {
  return {
    pools: new Map(),
    lanes: new Map(),
    commands: new Float64Array(commands * CommandCounter.RowDoubles),
    instance: {
      lane: new Float64Array(LaneCounter.RowDoubles),
      pool: new Float64Array(PoolCounter.RowDoubles),
      server: new Float64Array(BackendCounter.RowDoubles),
    },
  };
}

/** Adds as many doubles as `into` has, from index `at` on. */
function addRow(into: Float64Array, from: Float64Array, at: number): void {
  for (let column = 0; column < into.length; column++) into[column]! += from[at + column]!;
}

function moveRow(
  doubles: Float64Array, from: number, to: number, columns: number, gauges: readonly number[],
): void {
  for (let column = 0; column < columns; column++) {
    if (!gauges.includes(column)) doubles[to + column]! += doubles[from + column]!;
    doubles[from + column] = 0;
  }
}
