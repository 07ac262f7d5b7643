/**
 * Checks what lies before and between lanes: superblock, directory, owners, batches, rings. Others
 * write meanwhile, so each look may see two moments at once; what is true is found by every look.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { OwnerState, UnitClass, WorkerState } from '../shm/codes.js';
import { ours } from '../shm/head.js';
import { LANES_MAX, WORKERS_MAX } from '../shm/plan.js';
import { RING_SLOTS } from '../shm/ring-tables.js';
import { Batch, Lane, Superblock, TableNumber, Worker } from '../tables/columns.gen.js';
import { capacityOf } from './directory-report.js';
import type { InstanceObject } from './instance-object.js';
import { OWNER_STATES, WORKER_STATES, hex } from './names.js';
import { UNITS_PER_BATCH, batchRange, readPool } from './pool-report.js';
import { allRings, type RingReport } from './ring-report.js';

const LOOKS = 3;
const BETWEEN_LOOKS_MS = 30;
const ROW_BITS = 2; // lane.owner, below the worker's row

export async function checkInstance(object: InstanceObject): Promise<string[]> {
  let found = lookOnce(object);
  for (let looks = 1; looks < LOOKS && found.length > 0; looks += 1) {
    await pause(BETWEEN_LOOKS_MS);
    const again = new Set(lookOnce(object));
    found = found.filter((line) => again.has(line));
  }
  return found;
}

function lookOnce(object: InstanceObject): string[] {
  const rows = object.rows(TableNumber.Lane, LANES_MAX);
  const lanes = Array.from({ length: LANES_MAX }, (_, lane) => lane)
    .filter((lane) => rows.word(lane, Lane.Epoch) !== 0);
  return [
    ...superblockFindings(object),
    ...directoryFindings(object),
    ...ownerFindings(object, lanes),
    ...workerFindings(object),
    ...batchFindings(object, lanes),
    ...allRings(object, lanes).flatMap(ringFindings),
  ];
}

/** What follows from the capacities, and from which C++ finds its way. */
export function superblockFindings(object: InstanceObject): string[] {
  const { plan } = object;
  const rows = object.rows(TableNumber.Superblock, 1);
  const wanted: [string, number, number][] = [
    ['nodes', rows.word(0, Superblock.Nodes), plan.nodes],
    ['chunks', rows.word(0, Superblock.Chunks), plan.chunks],
    ['bytes', rows.double(0, Superblock.Bytes), plan.bytes],
    ['node_base', rows.double(0, Superblock.NodeBase), plan.tableBase[TableNumber.Node]!],
    ['chunk_base', rows.double(0, Superblock.ChunkBase), plan.chunkBase],
    ['batch_base', rows.double(0, Superblock.BatchBase), plan.tableBase[TableNumber.Batch]!],
    ['pool_bytes_max', rows.double(0, Superblock.PoolBytesMax), plan.capacities.poolBytesMax],
  ];
  return wanted.filter(([, is, should]) => is !== should)
    .map(([name, is, should]) => `superblock: ${name} is ${is}, should be ${should}`);
}

function directoryFindings(object: InstanceObject): string[] {
  const listed = object.head().listing(ours.hash);
  if (listed === null) return []; // another version's alone
  return ours.tables.flatMap((table) => {
    const found = listed.tables.find(({ name }) => name === table.name);
    if (found === undefined) return [`directory: table ${table.name} is not listed`];
    const isSame = found.rowBytes === table.rowBytes && table.columns.every((column) =>
      found.columns.some((each) => each.column === column.column && each.type === column.type
        && each.offset === column.offset && each.count === column.count));
    return isSame ? []
      : [`directory: the columns of ${table.name} are not those of layout ${hex(ours.hash)}`];
  });
}

function ownerFindings(object: InstanceObject, lanes: readonly number[]): string[] {
  const rows = object.rows(TableNumber.Lane, LANES_MAX);
  const workers = object.rows(TableNumber.Worker, WORKERS_MAX);
  const owners = new Map<number, number>();
  return lanes.flatMap((lane) => {
    const owner = rows.word(lane, Lane.Owner) >>> ROW_BITS;
    const state = rows.word(lane, Lane.Owner) & OWNER_STATES.length - 1;
    const keeper = rows.word(lane, Lane.Keeper);
    const found: string[] = [];
    const expect = (holds: boolean, what: string): void => {
      if (!holds) found.push(`lane ${lane}: ${what}`);
    };
    expect(owner < WORKERS_MAX && (owner > 0) === (state !== OwnerState.Nobody),
      `its owner is worker ${owner}, ${OWNER_STATES[state]}`);
    expect(keeper >= 0 && keeper < WORKERS_MAX, `its keeper is worker ${keeper}'s`);
    if (owner > 0 && owner < WORKERS_MAX) {
      expect(!owners.has(owner), `its owner, worker ${owner}, owns lane ${owners.get(owner)}, too`);
      expect(workers.word(owner, Worker.State) !== WorkerState.Free,
        `its owner, worker ${owner}, has a free row`);
      owners.set(owner, lane);
    }
    return found;
  });
}

function workerFindings(object: InstanceObject): string[] {
  const rows = object.rows(TableNumber.Worker, WORKERS_MAX);
  return Array.from({ length: WORKERS_MAX }, (_, row) => row).flatMap((row) => {
    const state = rows.word(row, Worker.State);
    const lane = rows.word(row, Worker.Lane);
    if (state < 0 || state >= WORKER_STATES.length) return [`worker ${row}: its state is ${state}`];
    const isFree = state === WorkerState.Free;
    return isFree || (lane >= -1 && lane < LANES_MAX) ? [] : [`worker ${row}: its lane is ${lane}`];
  });
}

function batchFindings(object: InstanceObject, lanes: readonly number[]): string[] {
  const rows = object.rows(TableNumber.Batch, capacityOf(object, TableNumber.Batch));
  const found: string[] = [];
  for (const unitClass of [UnitClass.Node, UnitClass.Chunk]) {
    const [first, count] = batchRange(object, unitClass);
    for (let row = first; row < first + count; row += 1) {
      const owner = rows.word(row, Batch.Owner);
      if (owner === 0) continue;
      // One that has just been taken gets its class before anything of it is free.
      const hasClass = rows.big(row, Batch.Free) !== 0n;
      if (!lanes.includes(owner - 1)) found.push(`batch ${row}: its owner is lane ${owner - 1}`);
      else if (hasClass && rows.word(row, Batch.Class) !== unitClass) {
        found.push(`batch ${row}: its class is ${rows.word(row, Batch.Class)}`);
      }
    }
  }
  return [...found, ...bookedFindings(object, lanes)];
}

/** Against shm_max a lane books what it holds. */
function bookedFindings(object: InstanceObject, lanes: readonly number[]): string[] {
  return readPool(object, lanes).flatMap(({ class: name, holders }) =>
    holders.filter(({ bytes, bookedBytes }) => bytes !== bookedBytes).map((each) =>
      `lane ${each.lane}: it books ${each.bookedBytes} bytes of ${name}s and holds ${each.batches} `
      + `batches of ${UNITS_PER_BATCH}: ${each.bytes} bytes`));
}

/** Receivers were read before senders. */
function ringFindings({ from, to, taken, released, published, queued }: RingReport): string[] {
  const place = `ring from ${from} to ${to}`;
  const found: string[] = [];
  if (released > taken) {
    found.push(`${place}: ${released} slots are released, ${taken} messages taken`);
  }
  if (taken > published) found.push(`${place}: ${taken} messages are taken of ${published}`);
  if (published > queued) found.push(`${place}: ${published} messages are published of ${queued}`);
  if (queued - released > RING_SLOTS) {
    found.push(`${place}: ${queued - released} messages lie in ${RING_SLOTS} slots`);
  }
  return found;
}

