/**
 * Brings a lane's rows into this program's layout, in place: called by a new owner between
 * laneClaim and laneBegin. Rows that must be written anew are imaged in the lane's journal first,
 * as a turn does (native/journal.h); one word commits.
 *
 *   journal:    [hash|0]  [image of row][offset|bytes]  [image of row][offset|bytes] …
 *                mark: the layout that the rows are brought into
 *   commit:     lane.schema_hash = hash            afterwards the journal means nothing
 *
 * Dying half-way is harmless for every kind of change. Whoever comes next, of either version, finds
 * a journal that begins with a mark: if the lane has that layout, all was done; if not, he puts
 * the images back and the lane is as it was before. Added columns need no images: they lie where
 * the version of before has none, so setting them again, or leaving them, changes nothing for it.
 * Columns that a version of before does not know stay where they are when it takes a lane back.
 */
import { assert } from '../base/assert.js';
import { Lane, LaneHead, TableNumber } from '../tables/columns.gen.js';
import { compare, isRewritten, sourcesOf, tableOf, type Source } from './compatibility.js';
import type { Listing } from './directory.js';
import { ours } from './head.js';
import { CHUNK_BYTES, tables } from './layout.js';
import { laneTables, planInstance, type InstancePlan } from './plan.js';
import type { Segment, Views } from './segment.js';
import { RowWriter } from './transcode.js';

/** What must be done with one table's rows. */
export interface TableWork {
  readonly number: TableNumber;
  readonly sources: readonly Source[];
  readonly isRewritten: boolean; // else only columns without a source of their own are set
}

/** A mark, and what stands behind each image. */
const ENTRY_BYTES = 8;

const TRAINING_ROWS = 256;
const TRAINING_ROUNDS = 20;

/** By the hash of the layout that rows come from; ours never changes. */
const works = new Map<number, readonly TableWork[]>();

/**
 * Whether bringLane will find a way; a worker asks before it claims, so that a lane never belongs
 * to somebody who cannot read it. Also works out that way, so that the lane need not wait for it.
 */
export function mayBring(segment: Segment, lane: number): boolean {
  const hash = Atomics.load(segment.shared.words, hashIndex(segment, lane));
  prepareLanes(segment);
  return hash === 0 || hash === ours.hash || works.has(hash);
}

/** Whether a lane's rows are in this program's layout. */
export function isOurs(segment: Segment, lane: number): boolean {
  return Atomics.load(segment.shared.words, hashIndex(segment, lane)) === ours.hash;
}

/** Works out what bringLane has to do for lanes of each layout that is listed. */
export function prepareLanes(segment: Segment): void {
  for (const listing of segment.listings()) {
    if (listing.hash === ours.hash || works.has(listing.hash)) continue;
    const isPossible = compare(listing, ours, true).change !== 'refused';
    if (!isPossible) continue;
    const work = worksFrom(listing, ours);
    train(work);
    works.set(listing.hash, work);
  }
}

/** Brings a lane of its own often enough that the code is optimised when a real one waits. */
function train(work: readonly TableWork[]): void {
  const plan = planInstance({
    lanes: 1, pools: 2, backends: 2, sessions: TRAINING_ROWS, links: TRAINING_ROWS,
    requests: TRAINING_ROWS, commands: 1, routeWords: 0, confBytes: 0, arenaBytes: 0,
    poolBytesMax: CHUNK_BYTES,
  });
  const buffer = new ArrayBuffer(plan.laneBytes);
  const [words, bytes] = [new Int32Array(buffer), new Uint8Array(buffer)];
  const views = { words, doubles: new Float64Array(buffer), bytes };
  const head = plan.tableBase[TableNumber.LaneHead]! / 4;
  for (const top of [LaneHead.SessionTop, LaneHead.LinkTop, LaneHead.RequestTop]) {
    words[head + top] = TRAINING_ROWS;
  }
  for (let round = 0; round < TRAINING_ROUNDS; round += 1) {
    bringRows(plan, views, { words: Int32Array.of(1), at: 0 }, 2, () => work);
  }
}

/**
 * Returns false when the lane was in this program's layout already. The lane must be this
 * process's, and nothing may use its rows meanwhile. Throws when its layout is not listed or there
 * is no way: the lane is as it was then.
 */
export function bringLane(segment: Segment, lane: number): boolean {
  const views = segment.laneViews(lane);
  const layout = { words: segment.shared.words, at: hashIndex(segment, lane) };
  return bringRows(segment.plan, views, layout, ours.hash, (hash) => workFor(segment, hash));
}

/** The same over plain views: from the layout that words[at] names into `to`. */
export function bringRows(
  plan: InstancePlan, views: Views, layout: { words: Int32Array; at: number }, to: number,
  workFrom: (hash: number) => readonly TableWork[],
): boolean {
  const from = Atomics.load(layout.words, layout.at);
  const journal = new Journal(plan, views);
  journal.settle(from);
  if (from === to) return false;
  if (from !== 0) {
    const work = workFrom(from);
    journal.undo();
    if (work.some((each) => each.isRewritten)) journal.mark(to);
    for (const each of work) bringTable(plan, views, each, journal);
  }
  Atomics.store(layout.words, layout.at, to);
  journal.forget();
  return true;
}

function workFor(segment: Segment, hash: number): readonly TableWork[] {
  if (!works.has(hash)) prepareLanes(segment);
  const work = works.get(hash);
  if (work === undefined) throw new Error('shared memory: a lane\'s layout is unknown here');
  return work;
}

function hashIndex(segment: Segment, lane: number): number {
  return segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords + Lane.SchemaHash;
}

/** What has to be done with rows of layout `from` until they are of layout `to`. */
export function worksFrom(from: Listing, to: Listing): TableWork[] {
  const { direction } = compare(from, to, true);
  const lasting = to.tables.filter(({ name, scope }) =>
    scope === 'lane' && name !== 'descriptor' && name !== 'receipt');
  return lasting.map(({ name }) => {
    const sources = sourcesOf(from, to, name, direction);
    const number = tables.findIndex((each) => each.name === name) as TableNumber;
    return { number, sources, isRewritten: isRewritten(tableOf(from, name)!, sources) };
  }).filter(({ sources, isRewritten: anew }) => anew || sources.some((each) => each.from === null));
}

function bringTable(plan: InstancePlan, views: Views, work: TableWork, journal: Journal): void {
  const base = plan.tableBase[work.number]!;
  const { rowBytes } = tables[work.number]!;
  const [first, end] = rowsInUse(plan, views, work.number);
  const writer = new RowWriter(views.bytes, rowBytes, work.sources);
  for (let row = first; row < end; row += 1) {
    const at = base + row * rowBytes;
    if (!work.isRewritten) {
      writer.fill(at);
    } else {
      journal.keep(at, rowBytes);
      writer.rewrite(at);
    }
  }
}

/** Rows that may hold anything, first and end: below its top where a table has one. */
function rowsInUse(plan: InstancePlan, views: Views, number: TableNumber): [number, number] {
  const head = plan.tableBase[TableNumber.LaneHead]! / 4;
  const capacity = laneTables(plan.capacities).find(([table]) => table === number)![1];
  const top = (column: LaneHead): [number, number] =>
    [1, Math.min(capacity, views.words[head + column]!)];
  switch (number) {
    case TableNumber.Session:
    case TableNumber.SessionInfo:
      return top(LaneHead.SessionTop);
    case TableNumber.Link:
      return top(LaneHead.LinkTop);
    case TableNumber.Request:
      return top(LaneHead.RequestTop);
    default:
      return [0, capacity];
  }
}

/** native/journal.h from this side: only between owners, when no turn is open in this process. */
class Journal {
  readonly #base: number;
  readonly #used: number; // word index of the commit word
  readonly #capacity: number;
  readonly #view: DataView;

  constructor(plan: InstancePlan, private readonly views: Views) {
    this.#base = plan.region.journal;
    this.#capacity = plan.region.arena - plan.region.journal;
    this.#used = plan.tableBase[TableNumber.LaneHead]! / 4 + LaneHead.JournalUsed;
    this.#view = new DataView(views.bytes.buffer, views.bytes.byteOffset, views.bytes.length);
  }

  /** Ends what an owner that died while it brought the lane has left open. */
  settle(layout: number): void {
    const mark = this.#markFound();
    if (mark === null) return; // a turn's own journal or none: laneBegin's business
    if (mark !== layout) this.undo();
    this.forget();
  }

  /** Puts back every image, last first; a turn that was open never happened. */
  undo(): void {
    const { bytes, words } = this.views;
    let used = words[this.#used]!;
    while (used > 0) {
      const entry = this.#base + used - ENTRY_BYTES;
      const length = this.#view.getUint32(entry + 4, true);
      used -= length + ENTRY_BYTES;
      if (length > 0) {
        const offset = this.#view.getUint32(entry, true);
        bytes.copyWithin(offset, this.#base + used, this.#base + used + length);
      }
      Atomics.store(words, this.#used, used);
    }
  }

  mark(layout: number): void {
    this.#append(this.#base, layout, 0);
  }

  keep(offset: number, length: number): void {
    const at = this.#base + this.views.words[this.#used]!;
    assert(at + length + ENTRY_BYTES <= this.#base + this.#capacity, 'the journal has room');
    this.views.bytes.copyWithin(at, offset, offset + length);
    this.#append(at + length, offset, length);
  }

  forget(): void {
    Atomics.store(this.views.words, this.#used, 0);
  }

  #append(at: number, first: number, length: number): void {
    this.#view.setInt32(at, first, true);
    this.#view.setUint32(at + 4, length, true);
    Atomics.store(this.views.words, this.#used, at + ENTRY_BYTES - this.#base);
  }

  /** The layout named by the first entry, if that is a mark. */
  #markFound(): number | null {
    let used = this.views.words[this.#used]!;
    while (used > ENTRY_BYTES) {
      used -= this.#view.getUint32(this.#base + used - ENTRY_BYTES + 4, true) + ENTRY_BYTES;
    }
    const isMark = used === ENTRY_BYTES && this.#view.getUint32(this.#base + 4, true) === 0;
    return isMark ? this.#view.getInt32(this.#base, true) : null;
  }
}
