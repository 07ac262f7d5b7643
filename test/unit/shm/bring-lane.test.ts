/** Rows of one layout become rows of another, and back, also if whoever does it dies on the way. */
import t from 'tap';
import fc from 'fast-check';
import { bringRows, worksFrom, type TableWork } from '../../../src/shm/bring-lane.js';
import type { Listing } from '../../../src/shm/directory.js';
import { tables } from '../../../src/shm/layout.js';
import type { Migration } from '../../../src/shm/migrations.js';
import { LaneHead, TableNumber } from '../../../src/tables/columns.gen.js';
import {
  add, addAfter, FakeRows, layoutWith, openedInMs, remove, replace, same,
} from './layouts.js';

const TOPS = { session: 9, session_info: 9, link: 5, request: 20 } as const;

/** A lane whose rows hold numbers that tell columns apart, all of them small enough to be exact. */
class TestLane extends FakeRows {
  readonly layout = { words: Int32Array.of(0), at: 0 };

  constructor(from: Listing) {
    super();
    this.layout.words[0] = from.hash;
    this.head(LaneHead.SessionTop, TOPS.session);
    this.head(LaneHead.LinkTop, TOPS.link);
    this.head(LaneHead.RequestTop, TOPS.request);
    for (const [name, top] of Object.entries(TOPS)) {
      const { columns } = from.tables.find((each) => each.name === name)!;
      for (let row = 1; row < top; row += 1) {
        columns.forEach(({ column, count }, number) => {
          for (let element = 0; element < count; element += 1) {
            this.set(from, name, row, column, (row * 7 + number + element) % 200, element);
          }
        });
      }
    }
  }

  get hash(): number {
    return this.layout.words[0]!;
  }

  head(column: LaneHead, value: number): void {
    this.views.words[this.plan.tableBase[TableNumber.LaneHead]! / 4 + column] = value;
  }

  bring(from: Listing, to: Listing, work: readonly TableWork[] = worksFrom(from, to)): boolean {
    return bringRows(this.plan, this.views, this.layout, to.hash, () => work);
  }

  /** Every byte of the tables that last. */
  bytes(): Buffer {
    return Buffer.from(this.views.bytes.slice(0, this.plan.tableBase[TableNumber.Descriptor]));
  }
}

const moved = layoutWith({ session: addAfter('opened_us', 'hops', 'i32', '', 1, 7) });
const inMs = layoutWith({ session: replace('opened_us', 'opened_ms', 'i32', '') }, [openedInMs]);

t.test('an added column gets its default in rows in use', async (t) => {
  const mine = layoutWith({
    session: add('hops', 'i32', '', 1, 7), link: add('weight', 'f64', '', 2, 0.5),
    session_info: add('note', 'u8', '', 3, 1), listener: add('seen', 'u64', '', 1, 9),
    lane_head: add('spins', 'i32', '', 1, 100), pool_counter: add('moved', 'f64', '', 1, 2),
  });
  const lane = new TestLane(same);
  const before = lane.row('session', 3).subarray(0, 164);
  lane.set(mine, 'session', 3, 'hops', 99); // left by somebody
  t.ok(lane.bring(same, mine));
  t.equal(lane.hash, mine.hash);
  for (let row = 1; row < TOPS.session; row += 1) {
    t.equal(lane.get(mine, 'session', row, 'hops'), 7);
  }
  t.same(lane.row('session', 3).subarray(0, 164), before, 'the others stay');
  t.equal(lane.get(mine, 'session', TOPS.session, 'hops'), 0, 'a row never used stays empty');
  t.equal(lane.get(mine, 'link', 1, 'weight', 1), 0.5);
  t.equal(lane.get(mine, 'session_info', 2, 'note', 2), 1);
  t.equal(lane.get(mine, 'listener', 3, 'seen'), 9);
  t.equal(lane.get(mine, 'lane_head', 0, 'spins'), 100);
  t.equal(lane.get(mine, 'pool_counter', 1, 'moved'), 2);
  t.equal(lane.views.words[lane.plan.region.journal / 4], 0, 'without images');
  t.notOk(lane.bring(same, mine), 'once is enough');
});

t.test('a lane that was brought and given back is as it was', async (t) => {
  const removal: Migration = {
    table: 'session', was: { column: 'last_command', type: 'i32', count: 1 }, is: null,
    factor: 1, plus: 5, oneWay: false,
  };
  for (const [name, mine] of Object.entries({
    added: layoutWith({ session: add('hops', 'i32', '', 1, 7) }), moved,
    retyped: layoutWith({ session: replace('mode', 'mode', 'f64', '') }, [{
      table: 'session', was: { column: 'mode', type: 'i32', count: 1 },
      is: { column: 'mode', type: 'f64', count: 1 }, factor: 1000, plus: 1, oneWay: false,
    }]),
    shortened: layoutWith({ session_info: replace('name', 'name', 'u8', '', 104) }, [{
      table: 'session_info', was: { column: 'name', type: 'u8', count: 96 },
      is: { column: 'name', type: 'u8', count: 104 }, factor: 1, plus: 0, oneWay: false,
    }]),
    wider: layoutWith({ session: replace('rx', 'rx', 'f64', '') }, [{
      table: 'session', was: { column: 'rx', type: 'u64', count: 1 },
      is: { column: 'rx', type: 'f64', count: 1 }, factor: 1, plus: 0, oneWay: false,
    }]),
  })) {
    const lane = new TestLane(same);
    const before = columnsOf(lane, same);
    t.ok(lane.bring(same, mine), name);
    t.ok(lane.bring(mine, same), name);
    t.equal(lane.hash, same.hash);
    t.same(columnsOf(lane, same), before, name);
  }
  const without = layoutWith({ session: remove('last_command') }, [removal]);
  const lane = new TestLane(same);
  lane.bring(same, without);
  lane.bring(without, same);
  t.equal(lane.get(same, 'session', 2, 'last_command'), 5, 'a removed column is back');
});

t.test('a migrated column', async (t) => {
  const lane = new TestLane(same);
  lane.set(same, 'session', 4, 'opened_us', 1_234_567);
  lane.set(same, 'session', 5, 'opened_us', 1e15);
  lane.bring(same, inMs);
  t.equal(lane.get(inMs, 'session', 4, 'opened_ms'), 1235);
  t.equal(lane.get(inMs, 'session', 5, 'opened_ms'), 2 ** 31 - 1, 'the nearest that fits');
  t.ok(lane.row('session', 4).subarray(176).every((byte) => byte === 0), 'spare bytes are 0');
  lane.set(inMs, 'session', 6, 'opened_ms', 5000);
  lane.bring(inMs, same);
  t.equal(lane.get(same, 'session', 4, 'opened_us'), 1_235_000);
  t.equal(lane.get(same, 'session', 6, 'opened_us'), 5_000_000);
});

t.test('a turn that was open never happened', async (t) => {
  const lane = new TestLane(same);
  const sessions = lane.plan.tableBase[TableNumber.Session]!;
  const { rowBytes } = tables[TableNumber.Session]!;
  const journal = lane.plan.region.journal;
  lane.views.bytes.set(lane.row('session', 2), journal);
  lane.views.words[(journal + rowBytes) / 4] = sessions + 2 * rowBytes;
  lane.views.words[(journal + rowBytes) / 4 + 1] = rowBytes;
  const mode = lane.get(same, 'session', 2, 'mode');
  lane.set(same, 'session', 2, 'mode', mode + 1);
  lane.head(LaneHead.JournalUsed, rowBytes + 8);
  t.notOk(lane.bring(same, same));
  t.equal(lane.get(same, 'session', 2, 'mode'), mode + 1, 'without a change that is laneBegin\'s');
  t.ok(lane.bring(same, moved));
  t.equal(lane.get(moved, 'session', 2, 'mode'), mode);
  t.equal(lane.get(moved, 'session', 2, 'hops'), 7);
  t.equal(lane.get(moved, 'lane_head', 0, 'journal_used'), 0);
});

t.test('a fresh lane only learns its layout', async (t) => {
  const lane = new TestLane(same);
  lane.layout.words[0] = 0;
  const before = lane.bytes();
  const nobody = (): never => { throw new Error('asked for work'); };
  t.ok(bringRows(lane.plan, lane.views, lane.layout, moved.hash, nobody));
  t.equal(lane.hash, moved.hash);
  t.same(lane.bytes(), before);
});

t.test('who brings a lane may die anywhere', async (t) => {
  const mine = layoutWith({
    session: (columns) => addAfter('cookie', 'hops', 'i32', '', 1, 7)(
      replace('opened_us', 'opened_ms', 'i32', '')(columns)),
    link: addAfter('cookie', 'hops', 'i32', '', 1, 3),
  }, [openedInMs]);
  const whole = new TestLane(same);
  whole.bring(same, mine);
  let survived = 0;
  t.doesNotThrow(() => fc.assert(fc.property(
    fc.integer({ min: 0, max: 120 }), fc.constantFrom('before', 'new'),
    fc.integer({ min: 0, max: 3 }),
    (after, next, again) => {
      const lane = new TestLane(same);
      const before = lane.bytes();
      for (let death = 0; death <= again; death += 1) {
        try {
          lane.bring(same, mine, dying(worksFrom(same, mine), after));
          survived += 1;
          return;
        } catch {
          // the next one is of either version
        }
      }
      if (next === 'new') {
        lane.bring(same, mine);
        return equal(lane.bytes(), whole.bytes());
      }
      if (lane.bring(mine, same)) return false;
      return equal(lane.bytes(), before);
    },
  )));
  t.ok(survived > 0, 'some lived');
  const lane = new TestLane(same);
  lane.bring(same, mine);
  // died before the journal was forgotten
  lane.head(LaneHead.JournalUsed, 8 + 8 * (192 + 8) + 4 * (320 + 8));
  const journal = lane.bytes();
  t.notOk(lane.bring(same, mine));
  t.ok(equal(lane.bytes(), whole.bytes()), 'what is committed stays');
  t.notSame(journal, whole.bytes());
});

/** Dies while it works out a value, after so many others. */
function dying(work: readonly TableWork[], after: number): TableWork[] {
  let left = after;
  return work.map((each) => ({
    ...each,
    sources: each.sources.map((source) => source.convert === null ? source : {
      ...source,
      convert: (value: number): number => {
        if (left-- <= 0) throw new Error('died');
        return source.convert!(value);
      },
    }),
  }));
}

function equal(one: Buffer, other: Buffer): boolean {
  return one.equals(other);
}

/** Every column of every row in use. */
function columnsOf(lane: TestLane, layout: Listing): number[] {
  return Object.entries(TOPS).flatMap(([name, top]) => {
    const { columns } = layout.tables.find((each) => each.name === name)!;
    return Array.from({ length: top - 1 }, (_, row) => columns.flatMap(({ column, count }) =>
      Array.from({ length: count }, (__, element) =>
        lane.get(layout, name, row + 1, column, element)))).flat();
  });
}
