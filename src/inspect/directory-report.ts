/** The directory's tables, with where they begin. */
import { tables } from '../shm/layout.js';
import { DIRECTORY_ROWS, LANES_MAX, WORKERS_MAX, laneTables } from '../shm/plan.js';
import { RING_SLOTS } from '../shm/ring-tables.js';
import { TableNumber } from '../tables/columns.gen.js';
import type { InstanceObject } from './instance-object.js';

export interface TableReport {
  readonly table: string;
  readonly scope: 'instance' | 'lane';
  readonly offset: number; // of a lane's table: from the beginning of the lane's extent
  readonly rowBytes: number;
  readonly rows: number; // capacity; of a lane's table: in each lane
  readonly columns: readonly ColumnReport[];
}

export interface ColumnReport {
  readonly column: string;
  readonly type: string;
  readonly count: number;
  readonly offset: number; // within the row
}

export function readDirectory(object: InstanceObject): TableReport[] {
  const { tableBase } = object.plan;
  return object.listing().tables.flatMap(({ name, scope, rowBytes, columns }) => {
    const number = tables.findIndex((table) => table.name === name) as TableNumber;
    if (number < 0) return [];
    return [{
      table: name,
      scope,
      offset: tableBase[number]!,
      rowBytes,
      rows: capacityOf(object, number),
      columns: columns.map(({ column, type, count, offset }) => ({ column, type, count, offset })),
    }];
  });
}

/** Rows that a table has room for, row 0 included. */
export function capacityOf({ plan }: InstanceObject, number: TableNumber): number {
  const { capacities, nodes, chunks } = plan;
  switch (number) {
    case TableNumber.Superblock: return 1;
    case TableNumber.Directory: return 2 * DIRECTORY_ROWS;
    case TableNumber.Lane: return LANES_MAX;
    case TableNumber.Worker: return WORKERS_MAX;
    case TableNumber.Pool: return capacities.pools;
    case TableNumber.Backend: return capacities.backends;
    case TableNumber.Node: return nodes;
    case TableNumber.Batch: return batchesOf(nodes) + batchesOf(chunks);
    case TableNumber.Message: return (capacities.lanes + 2) * RING_SLOTS;
    default: return laneTables(capacities).find(([each]) => each === number)?.[1] ?? 0;
  }
}

const UNITS_PER_BATCH = 64;

/** Of one class of units. */
export function batchesOf(units: number): number {
  return Math.floor(units / UNITS_PER_BATCH);
}
