/**
 * Where everything lies: turns capacities into offsets. Pure arithmetic, so that every process that
 * knows the superblock's capacities computes the same map. Offsets are bytes from the object's start;
 * a lane's tables and regions lie in one extent, which TypeScript sees as one ArrayBuffer.
 */
import { CHUNK_BYTES, LANES_MAX, tables } from './layout.js';
import { RING_SLOTS } from './ring-tables.js';
import { alignUp, textHash } from './schema.js';
import { Node, TableNumber } from '../tables/columns.gen.js';

export { LANES_MAX };

export interface Capacities {
  readonly lanes: number;
  readonly pools: number; // both halves; ids are below half of it
  readonly backends: number; // both halves
  readonly sessions: number; // per lane
  readonly links: number; // per lane
  readonly requests: number; // per lane
  readonly commands: number;
  readonly routeWords: number; // both halves
  readonly confBytes: number; // both halves
  readonly arenaBytes: number; // per lane
  readonly poolBytesMax: number; // shm_max
}

export interface InstancePlan {
  readonly capacities: Capacities;
  readonly tableBase: readonly number[]; // by TableNumber: instance tables, absolute; lane tables: within the extent
  readonly confBase: number;
  readonly routeBase: number;
  readonly laneBase: readonly number[];
  readonly region: LaneRegions; // within the extent
  readonly laneBytes: number; // of an extent, backed when its lane is opened
  readonly laneStride: number; // from extent to extent: behind those bytes lie the slots of rings
  readonly sharedBytes: number; // instance tables, conf and routes: [0, sharedBytes)
  readonly chunkBase: number;
  readonly nodes: number; // rows that may exist at most
  readonly chunks: number;
  readonly bytes: number; // the object's size, reserved, not allocated
}

export interface LaneRegions {
  readonly operation: number; // words TypeScript writes its programs into
  readonly argument: number; // words: offset, bytes, hash of each argument of the commands that need them
  readonly scratch: number; // bytes TypeScript writes local answers into
  readonly journal: number; // before-images of the open turn
  readonly arena: number; // bytes received in this turn
}

/** One batch of operation programs; a turn that fills it leaves the rest for the next turn. */
export const OPERATION_WORDS = 1 << 18;
/** Three words an argument: a request with more than 262,144 arguments is refused if it must be split. */
export const ARGUMENT_WORDS = 3 << 18;
export const SCRATCH_BYTES = 4 << 20;
export const DESCRIPTORS = 16384;
export const RECEIPTS = 4096;
/** Processes that may be there at once: workers that serve, start, drain or are frozen. */
export const WORKERS_MAX = 4 * LANES_MAX;
/** Columns that one half of the directory can list. */
export const DIRECTORY_ROWS = 512;

const PAGE = 4096;
const UNITS_PER_BATCH = 64;

export function planInstance(capacities: Capacities): InstancePlan {
  const tableBase: number[] = new Array<number>(tables.length).fill(0);
  let at = 0;
  const place = (number: TableNumber, rows: number): void => {
    tableBase[number] = at;
    at = alignUp(at + rows * tables[number]!.rowBytes, 64);
  };
  place(TableNumber.Superblock, 1);
  place(TableNumber.Directory, 2 * DIRECTORY_ROWS);
  place(TableNumber.Lane, LANES_MAX);
  place(TableNumber.Worker, WORKERS_MAX);
  place(TableNumber.Pool, capacities.pools);
  place(TableNumber.Backend, capacities.backends);
  const confBase = at;
  at = alignUp(at + capacities.confBytes, 64);
  const routeBase = at;
  at = alignUp(at + capacities.routeWords * 4, 64);
  const nodes = Math.ceil(capacities.poolBytesMax / CHUNK_BYTES);
  const chunks = nodes;
  place(TableNumber.Batch, (2 * nodes) / UNITS_PER_BATCH + 2);
  const sharedBytes = alignUp(at, PAGE);

  const { region, laneBytes, laneStride } = planLane(capacities, tableBase);
  const laneBase = Array.from(
    { length: capacities.lanes },
    (_, lane) => sharedBytes + lane * laneStride,
  );
  const nodeBase = sharedBytes + capacities.lanes * laneStride;
  tableBase[TableNumber.Node] = nodeBase;
  const chunkBase = alignUp(nodeBase + nodes * Node.RowBytes, 1 << 21);
  const bytes = chunkBase + chunks * CHUNK_BYTES;
  return {
    capacities,
    tableBase,
    confBase,
    routeBase,
    laneBase,
    region,
    laneBytes,
    laneStride,
    sharedBytes,
    chunkBase,
    nodes,
    chunks,
    bytes,
  };
}

function planLane(
  capacities: Capacities,
  tableBase: number[],
): { region: LaneRegions; laneBytes: number; laneStride: number } {
  let at = 0;
  const take = (bytes: number): number => {
    const base = at;
    at = alignUp(at + bytes, 64);
    return base;
  };
  for (const [number, rows] of laneTables(capacities)) {
    tableBase[number] = take(rows * tables[number]!.rowBytes);
  }
  const region = {
    operation: take(OPERATION_WORDS * 4),
    argument: take(ARGUMENT_WORDS * 4),
    scratch: take(SCRATCH_BYTES),
    journal: take(journalBytes(capacities)),
    arena: take(capacities.arenaBytes),
  };
  const laneBytes = alignUp(at, PAGE);
  tableBase[TableNumber.Message] = laneBytes;
  const slots = (capacities.lanes + 2) * RING_SLOTS * tables[TableNumber.Message]!.rowBytes;
  return { region, laneBytes, laneStride: laneBytes + alignUp(slots, PAGE) };
}

/** Tells plans apart: a version with another constant in this file cannot use the same object. */
export function mapHash(plan: InstancePlan): number {
  const { capacities: _, ...offsets } = plan;
  return textHash(JSON.stringify(offsets));
}

/** A lane's tables with their rows, as they lie in its extent; slots of rings lie behind it. */
export function laneTables(capacities: Capacities): readonly (readonly [TableNumber, number])[] {
  const { lanes, pools, backends, commands, sessions, links, requests } = capacities;
  return [
    [TableNumber.LaneHead, 1],
    [TableNumber.LaneCounter, 1],
    [TableNumber.PoolCounter, pools / 2],
    [TableNumber.BackendCounter, backends / 2],
    [TableNumber.CommandCounter, commands],
    [TableNumber.Histogram, (pools + backends) / 2],
    [TableNumber.Session, sessions],
    [TableNumber.SessionInfo, sessions],
    [TableNumber.Link, links],
    [TableNumber.Request, requests],
    [TableNumber.Wire, sessions + links],
    [TableNumber.Listener, pools],
    [TableNumber.Descriptor, DESCRIPTORS],
    [TableNumber.Receipt, RECEIPTS],
    [TableNumber.Ring, lanes + 1],
    [TableNumber.Port, lanes + 2],
    [TableNumber.Bell, 1],
  ];
}

/** Room for one before-image of every row a turn may change. */
export function journalBytes(capacities: Capacities): number {
  const { lanes, sessions, links, requests } = capacities;
  return (
    (lanes + 1) * imageBytes(TableNumber.Ring) +
    sessions * (imageBytes(TableNumber.Session) + imageBytes(TableNumber.SessionInfo)) +
    links * imageBytes(TableNumber.Link) +
    requests * imageBytes(TableNumber.Request)
  );
}

function imageBytes(number: TableNumber): number {
  return tables[number]!.rowBytes + 8;
}
