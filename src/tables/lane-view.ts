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
    const word = (number: TableNumber): number => plan.tableBase[number]! / 4;
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
    this.operation = plan.region.operation / 4;
    this.argument = plan.region.argument / 4;
    this.scratch = plan.region.scratch;
    this.arena = plan.region.arena;
    this.poolCounter = word(TableNumber.PoolCounter) / 2;
    this.backendCounter = word(TableNumber.BackendCounter) / 2;
  }

  countPool(row: number, column: PoolCounter): void {
    this.doubles[this.poolCounter + row * PoolCounter.RowDoubles + column]! += 1;
  }

  countBackend(row: number, column: BackendCounter): void {
    this.doubles[this.backendCounter + row * BackendCounter.RowDoubles + column]! += 1;
  }
}
