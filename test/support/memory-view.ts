/**
 * What shared memory says of lanes and workers, read from the object's file as anybody may who can
 * open it: who serves which lane, who waits beside it. The instance tables in front of it lie where
 * they lie whatever the capacities are.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { OwnerState, WorkerState } from '../../src/shm/codes.js';
import { LANES_MAX, WORKERS_MAX, planInstance } from '../../src/shm/plan.js';
import { Lane, TableNumber, Worker } from '../../src/tables/columns.gen.js';

export interface WorkerRow {
  readonly row: number;
  readonly state: WorkerState;
  readonly pid: number;
  readonly keeperPid: number;
  readonly masterPid: number;
  readonly lane: number;
  readonly generation: number;
  readonly error: number;
  readonly version: string;
}

export interface LaneRow {
  readonly lane: number;
  readonly ownerRow: number; // of the worker table; 0: nobody
  readonly ownerState: OwnerState;
  readonly owner: WorkerRow | null; // null: nobody, or its row is free again
  readonly generation: number;
  readonly schemaHash: number;
  readonly epoch: number; // bumped at each change of owner
  readonly takeovers: number;
  readonly restarts: number;
  readonly pauseUs: number;
}

const { tableBase } = planInstance({ // only bases of tables of fixed size are used
  lanes: 2, pools: 2, backends: 2, sessions: 1, links: 1, requests: 1, commands: 1,
  routeWords: 2, confBytes: 2, arenaBytes: 64, poolBytesMax: 1 << 20,
});
const LANES_AT = tableBase[TableNumber.Lane]!;
const WORKERS_AT = tableBase[TableNumber.Worker]!;
const BYTES = WORKERS_AT + WORKERS_MAX * Worker.RowBytes;

function read(path: string): Buffer {
  const bytes = Buffer.alloc(BYTES);
  const fd = openSync(path, 'r');
  try {
    readSync(fd, bytes, 0, BYTES, 0);
  } finally {
    closeSync(fd);
  }
  return bytes;
}

function workersIn(memory: Buffer): WorkerRow[] {
  const rows: WorkerRow[] = [];
  for (let row = 1; row < WORKERS_MAX; row += 1) {
    const at = WORKERS_AT + row * Worker.RowBytes;
    const word = (column: number): number => memory.readInt32LE(at + column * 4);
    if (word(Worker.State) === WorkerState.Free) continue;
    const version = memory.toString('latin1', at + Worker.Version, at + Worker.Version + 24);
    rows.push({
      row, state: word(Worker.State), pid: word(Worker.Pid), keeperPid: word(Worker.KeeperPid),
      masterPid: word(Worker.MasterPid), lane: word(Worker.Lane),
      generation: word(Worker.Generation), error: word(Worker.Error),
      version: version.replace(/\0[\s\S]*$/, ''),
    });
  }
  return rows;
}

/** Worker rows that are not free, those of all masters. */
export function readWorkers(path: string): WorkerRow[] {
  return workersIn(read(path));
}

/** Lanes that somebody owns or has owned, in their order. */
export function readLanes(path: string): LaneRow[] {
  const memory = read(path);
  const workers = workersIn(memory);
  const lanes: LaneRow[] = [];
  for (let lane = 0; lane < LANES_MAX; lane += 1) {
    const at = LANES_AT + lane * Lane.RowBytes;
    const word = (column: number): number => memory.readInt32LE(at + column * 4);
    if (word(Lane.Epoch) === 0) continue;
    const ownerRow = word(Lane.Owner) >>> 2;
    lanes.push({
      lane, ownerRow, ownerState: word(Lane.Owner) & 3,
      owner: workers.find(({ row }) => row === ownerRow) ?? null,
      generation: word(Lane.Generation), schemaHash: word(Lane.SchemaHash),
      epoch: word(Lane.Epoch), takeovers: word(Lane.Takeovers), restarts: word(Lane.Restarts),
      pauseUs: memory.readDoubleLE(at + Lane.PauseUs * 8),
    });
  }
  return lanes;
}
