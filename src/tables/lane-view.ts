/**
 * A lane's extent as its worker's TypeScript sees it: word positions of its tables and regions.
 *
 *   words[view.session + row * Session.RowWords + Session.Mode]
 *
 * Committed columns are read here and written by C++ only; what TypeScript writes are plans
 * (Descriptor.Plan), programs, scratch bytes and counters.
 */
import type { InstancePlan } from '../shm/plan.js';
import type { Views } from '../shm/segment.js';
import { BackendCounter, PoolCounter, TableNumber } from './columns.gen.js';

export class LaneView {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Buffer;
  readonly head: number; // word positions
  readonly session: number;
  readonly sessionInfo: number;
  readonly link: number;
  readonly linkRows: number; // capacity, row 0 included
  readonly request: number;
  readonly descriptor: number;
  readonly operation: number;
  readonly argument: number;
  readonly scratch: number; // byte positions
  readonly arena: number;
  readonly poolCounter: number; // double positions
  readonly backendCounter: number;

  constructor(plan: InstancePlan, views: Views) {
    const word = (number: TableNumber): number => position(plan.tableBase[number]!, 4);
    this.words = views.words;
    this.doubles = views.doubles;
    this.bytes = Buffer.from(views.bytes.buffer, 0, views.bytes.length);
    this.head = word(TableNumber.LaneHead);
    this.session = word(TableNumber.Session);
    this.sessionInfo = word(TableNumber.SessionInfo);
    this.link = word(TableNumber.Link);
    this.linkRows = plan.capacities.links;
    this.request = word(TableNumber.Request);
    this.descriptor = word(TableNumber.Descriptor);
    this.operation = position(plan.region.operation, 4);
    this.argument = position(plan.region.argument, 4);
    this.scratch = position(plan.region.scratch, 1);
    this.arena = position(plan.region.arena, 1);
    this.poolCounter = position(plan.tableBase[TableNumber.PoolCounter]!, 8);
    this.backendCounter = position(plan.tableBase[TableNumber.BackendCounter]!, 8);
  }

  countPool(row: number, column: PoolCounter): void {
    this.doubles[this.poolCounter + row * PoolCounter.RowDoubles + column]! += 1;
  }

  countBackend(row: number, column: BackendCounter): void {
    this.doubles[this.backendCounter + row * BackendCounter.RowDoubles + column]! += 1;
  }
}

/**
 * A plan also holds offsets beyond 2^31, so V8 keeps all of them as doubles; what is read on every
 * request must be a small integer, or each index is converted each time.
 */
function position(offset: number, unit: number): number {
  return (offset / unit) | 0;
}
