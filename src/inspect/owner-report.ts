/** Who owns the lanes, and every worker of whichever master. */
import { LANES_MAX, WORKERS_MAX } from '../shm/plan.js';
import { Lane, LaneHead, TableNumber, Worker } from '../tables/columns.gen.js';
import type { InstanceObject } from './instance-object.js';
import { LANE_STATES, OWNER_STATES, WORKER_STATES, hex, nameOf } from './names.js';
import type { Rows } from './rows.js';

const VERSION_ROOM = 24;
const OWNER_STATE_MASK = 3; // lane.owner = worker row * 4 + OwnerState

export interface WorkerReport {
  readonly worker: number; // row
  readonly pid: number;
  readonly isAlive: boolean;
  readonly state: string;
  readonly isStandby: boolean; // for no lane yet
  readonly lane: number; // -1: whichever loses its owner
  readonly keeperPid: number; // 0: it has none
  readonly masterPid: number;
  readonly generation: number;
  readonly version: string;
  readonly startedAtMs: number;
}

export interface LaneReport {
  readonly lane: number;
  readonly state: string;
  readonly owner: number; // worker row, 0: nobody
  readonly ownerState: string;
  readonly ownerPid: number;
  readonly isOwnerAlive: boolean;
  readonly claimant: number; // worker row
  readonly keeperPid: number; // of the keeper that answers for the lane
  readonly generation: number;
  readonly layout: string;
  readonly turn: number; // the open one
  readonly turns: number; // sealed
  readonly journalBytes: number; // images of the open turn
  readonly isSleeping: boolean;
  readonly restarts: number;
  readonly takeovers: number;
  readonly sessions: number;
  readonly links: number;
  readonly requests: number;
}

export function readWorkers(
  object: InstanceObject, isAlive: (pid: number) => boolean,
): WorkerReport[] {
  const rows = object.rows(TableNumber.Worker, WORKERS_MAX);
  return numbersBelow(WORKERS_MAX).slice(1).flatMap((row) => {
    const word = (column: Worker): number => rows.word(row, column);
    if (word(Worker.State) === 0) return [];
    const pid = word(Worker.Pid);
    return [{
      worker: row,
      pid,
      isAlive: isAlive(pid),
      state: nameOf(WORKER_STATES, word(Worker.State)),
      isStandby: word(Worker.Lane) < 0,
      lane: word(Worker.Lane),
      keeperPid: word(Worker.KeeperPid),
      masterPid: word(Worker.MasterPid),
      generation: word(Worker.Generation),
      version: rows.text(row, Worker.Version, VERSION_ROOM),
      startedAtMs: rows.double(row, Worker.StartedAt),
    }];
  });
}

export function readLanes(
  object: InstanceObject, workers: readonly WorkerReport[],
): LaneReport[] {
  const rows = object.rows(TableNumber.Lane, LANES_MAX);
  return numbersBelow(LANES_MAX).filter((lane) => rows.word(lane, Lane.Epoch) !== 0)
    .map((lane) => laneReport(object, rows, lane, workers));
}

function laneReport(
  object: InstanceObject, rows: Rows, lane: number, workers: readonly WorkerReport[],
): LaneReport {
  const word = (column: Lane): number => rows.word(lane, column);
  const heads = object.laneRows(lane, TableNumber.LaneHead, 1);
  const head = (column: LaneHead): number => heads.word(0, column);
  const find = (row: number): WorkerReport | undefined =>
    workers.find(({ worker }) => worker === row);
  const owner = find(word(Lane.Owner) >>> 2);
  return {
    lane,
    state: nameOf(LANE_STATES, word(Lane.State)),
    owner: word(Lane.Owner) >>> 2,
    ownerState: nameOf(OWNER_STATES, word(Lane.Owner) & OWNER_STATE_MASK),
    ownerPid: owner?.pid ?? 0,
    isOwnerAlive: owner?.isAlive ?? false,
    claimant: word(Lane.Claimant),
    keeperPid: find(word(Lane.Keeper))?.keeperPid ?? 0,
    generation: word(Lane.Generation),
    layout: hex(word(Lane.SchemaHash)),
    turn: head(LaneHead.Turn),
    turns: word(Lane.Turns),
    journalBytes: head(LaneHead.JournalUsed),
    isSleeping: word(Lane.Sleeping) !== 0,
    restarts: word(Lane.Restarts),
    takeovers: word(Lane.Takeovers),
    sessions: head(LaneHead.SessionsOpen),
    links: head(LaneHead.LinksOpen),
    requests: head(LaneHead.RequestsOpen),
  };
}

function numbersBelow(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}
