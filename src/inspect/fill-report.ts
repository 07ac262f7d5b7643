/** How full tables and regions are: the instance's, then each lane's. */
import { ListenerState, WorkerState } from '../shm/codes.js';
import { LANES_MAX, WORKERS_MAX, journalBytes } from '../shm/plan.js';
import { Batch, Lane, LaneHead, Listener, TableNumber, Worker } from '../tables/columns.gen.js';
import { batchesOf, capacityOf } from './directory-report.js';
import type { Facts } from './facts.js';
import type { InstanceObject } from './instance-object.js';
import type { Rows } from './rows.js';

export interface FillReport {
  readonly lane: number | null; // null: of the instance
  readonly table: string; // or region
  readonly unit: 'rows' | 'bytes';
  readonly used: number | null; // null: this cannot be told
  readonly top: number | null; // rows ever used, row 0 included; null: nobody counts them
  readonly capacity: number; // row 0 of those tables that keep it for nobody not included
}

export function readFills(
  object: InstanceObject, lanes: readonly number[], facts: Pick<Facts, 'pools' | 'backends'>,
): FillReport[] {
  return [...instanceFills(object, facts), ...lanes.flatMap((lane) => laneFills(object, lane))];
}

function instanceFills(
  object: InstanceObject, { pools, backends }: Pick<Facts, 'pools' | 'backends'>,
): FillReport[] {
  const { capacities, nodes, chunks } = object.plan;
  const fill = (table: string, used: number | null, capacity: number): FillReport =>
    ({ lane: null, table, unit: 'rows', used, top: null, capacity });
  const lanes = object.rows(TableNumber.Lane, LANES_MAX);
  const workers = object.rows(TableNumber.Worker, WORKERS_MAX);
  const batches = capacityOf(object, TableNumber.Batch);
  const rows = object.rows(TableNumber.Batch, batches);
  const columns = object.listing().tables.reduce((sum, table) => sum + table.columns.length, 0);
  return [
    fill('directory', columns, capacityOf(object, TableNumber.Directory) / 2),
    fill('lane', countOf(lanes, (row) => lanes.word(row, Lane.Epoch) !== 0), LANES_MAX),
    fill('worker', countOf(workers, (row) => row > 0
      && workers.word(row, Worker.State) !== WorkerState.Free), WORKERS_MAX - 1),
    fill('pool', pools, capacities.pools / 2),
    fill('backend', backends, capacities.backends / 2),
    fill('batch', countOf(rows, (row) => rows.word(row, Batch.Owner) !== 0),
      batchesOf(nodes) + batchesOf(chunks)),
  ];
}

function laneFills(object: InstanceObject, lane: number): FillReport[] {
  const { capacities } = object.plan;
  const heads = object.laneRows(lane, TableNumber.LaneHead, 1);
  const head = (column: LaneHead): number => heads.word(0, column);
  const listeners = object.laneRows(lane, TableNumber.Listener, capacities.pools);
  const watched = countOf(listeners, (row) =>
    listeners.word(row, Listener.State) === ListenerState.Watched);
  const rows = (
    table: string, used: number, capacity: number, top: number | null = null,
  ): FillReport => ({ lane, table, unit: 'rows', used, top, capacity });
  const bytes = (table: string, used: number, capacity: number): FillReport =>
    ({ lane, table, unit: 'bytes', used, top: null, capacity });
  return [
    rows('session', head(LaneHead.SessionsOpen), capacities.sessions - 1,
      head(LaneHead.SessionTop)),
    rows('link', head(LaneHead.LinksOpen), capacities.links - 1, head(LaneHead.LinkTop)),
    rows('request', head(LaneHead.RequestsOpen), capacities.requests - 1,
      head(LaneHead.RequestTop)),
    rows('listener', watched, capacities.pools),
    rows('descriptor', head(LaneHead.Descriptors), capacityOf(object, TableNumber.Descriptor)),
    rows('receipt', head(LaneHead.Receipts), capacityOf(object, TableNumber.Receipt)),
    bytes('journal', head(LaneHead.JournalUsed), journalBytes(capacities)),
    bytes('arena', head(LaneHead.ArenaUsed), capacities.arenaBytes),
  ];
}

function countOf(rows: Rows, holds: (row: number) => boolean): number {
  let count = 0;
  for (let row = 0; row < rows.count; row += 1) if (holds(row)) count += 1;
  return count;
}
