/** Nodes and chunks: who holds their batches, and how much of them is used. */
import { UnitClass } from '../shm/codes.js';
import { CHUNK_BYTES } from '../shm/layout.js';
import { Batch, Lane, Node, TableNumber } from '../tables/columns.gen.js';
import { LANES_MAX } from '../shm/plan.js';
import { batchesOf, capacityOf } from './directory-report.js';
import type { InstanceObject } from './instance-object.js';
import { UNIT_CLASSES } from './names.js';
import type { Rows } from './rows.js';

export const UNITS_PER_BATCH = 64;

export interface UnitReport {
  readonly class: string;
  readonly unitBytes: number;
  readonly batches: number; // that there can be
  readonly owned: number;
  readonly holders: readonly HolderReport[];
}

/** Of a lane that holds batches of the class. */
export interface HolderReport {
  readonly lane: number;
  readonly batches: number;
  readonly used: number; // units
  readonly free: number;
  readonly bytes: number; // of its batches
  readonly bookedBytes: number; // of them, as the lane counts them against shm_max
}

export function readPool(object: InstanceObject, lanes: readonly number[]): UnitReport[] {
  const rows = object.rows(TableNumber.Batch, capacityOf(object, TableNumber.Batch));
  const booked = object.rows(TableNumber.Lane, LANES_MAX);
  return [UnitClass.Node, UnitClass.Chunk].map((unitClass) => {
    const [first, count] = batchRange(object, unitClass);
    const unitBytes = unitClass === UnitClass.Node ? Node.RowBytes : CHUNK_BYTES;
    const holders = lanes.map((lane): HolderReport => {
      const { batches, free, nobodys } = held(rows, first, count, lane);
      return {
        lane,
        batches,
        used: batches * UNITS_PER_BATCH - free - nobodys,
        free,
        bytes: batches * UNITS_PER_BATCH * unitBytes,
        bookedBytes: booked.double(lane, Lane.PoolBytes + unitClass),
      };
    });
    const owned = holders.reduce((sum, each) => sum + each.batches, 0);
    return { class: UNIT_CLASSES[unitClass], unitBytes, batches: count, owned, holders };
  });
}

/** First row and number of a class's batches. */
export function batchRange({ plan }: InstanceObject, unitClass: UnitClass): [number, number] {
  const nodes = batchesOf(plan.nodes);
  return unitClass === UnitClass.Node ? [0, nodes] : [nodes, batchesOf(plan.chunks)];
}

/** `nobodys`: unit 0 of the class, which is never used. */
function held(
  rows: Rows, first: number, count: number, lane: number,
): { readonly batches: number; readonly free: number; readonly nobodys: number } {
  let [batches, free, nobodys] = [0, 0, 0];
  for (let row = first; row < first + count; row += 1) {
    if (rows.word(row, Batch.Owner) !== lane + 1) continue;
    batches += 1;
    free += bitsIn(rows.big(row, Batch.Free));
    if (row === first) nobodys = 1;
  }
  return { batches, free, nobodys };
}

function bitsIn(word: bigint): number {
  let count = 0;
  for (let left = word; left !== 0n; left &= left - 1n) count += 1;
  return count;
}
