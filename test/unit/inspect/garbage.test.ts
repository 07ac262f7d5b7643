/**
 * Goal: whatever lies in the rows, a report is made and a check comes to its end; what was sound
 *   is told as sound, and what a report says is what lies there.
 * Method: an object without processes, its words written by hand and by dice.
 */
import t from 'tap';
import { check, isWell, verdictText } from '../../../src/inspect/check.js';
import { checkInstance } from '../../../src/inspect/instance-check.js';
import { InstanceObject, UnreadableObject } from '../../../src/inspect/instance-object.js';
import { batchRange } from '../../../src/inspect/pool-report.js';
import { readReport } from '../../../src/inspect/report.js';
import { reportText } from '../../../src/inspect/report-text.js';
import { Look, native } from '../../../src/native/binding.js';
import { UnitClass } from '../../../src/shm/codes.js';
import { lanePlaces } from '../../../src/shm/lane-places.js';
import { tables } from '../../../src/shm/layout.js';
import { laneTables } from '../../../src/shm/plan.js';
import { Batch, Lane, LaneHead, Superblock, TableNumber } from '../../../src/tables/columns.gen.js';
import { dice } from '../../support/seed.js';
import { CAPACITIES, FD_BASE, MadeObject } from './made-object.js';

const made = new MadeObject(t);
const facts = { masters: [], pools: null, backends: 3, isAlive: () => true };
const ROUNDS = 150;

t.test('a sound one', async (t) => {
  made.openSession(1);
  made.write(TableNumber.LaneHead, 0, LaneHead.SessionTop, 2);
  const object = InstanceObject.open(made.name);
  const report = readReport(object, facts);
  t.match(report.lanes, [{ lane: 0, owner: 1, ownerPid: process.pid, isSleeping: true, sessions: 0 }]);
  t.match(report.fills.filter(({ used }) => used === null), [{ table: 'pool', capacity: 4 }]);
  const bad = await check(object, FD_BASE);
  t.equal(verdictText(bad), 'instance: nothing found\n'
    + 'lane 0: 1 sessions open but not counted\nlane 0: -1 clients of a pool too many counted\n');
  t.notOk(isWell(bad));
  object.close();
});

t.test('a batch that is just being taken', async (t) => {
  const object = InstanceObject.open(made.name);
  const [row] = batchRange(object, UnitClass.Chunk);
  const book = (bytes: number): void => made.writeBytes(TableNumber.Lane, 0, (Lane.PoolBytes + 1) * 8,
    Buffer.from(Float64Array.of(bytes).buffer));
  book(64 * 4096);
  made.write(TableNumber.Batch, row, Batch.Owner, 1);
  t.same(await checkInstance(object), [], 'it has no class yet');
  made.write(TableNumber.Batch, row, Batch.Free / 4, 2);
  t.same(await checkInstance(object), [`batch ${row}: its class is 0`]);
  made.write(TableNumber.Batch, row, Batch.Class, UnitClass.Chunk);
  t.same(await checkInstance(object), []);
  book(0);
  t.same(await checkInstance(object), ['lane 0: it books 0 bytes of chunks and holds 1 batches of 64: '
    + '262144 bytes']);
  object.close();
});

t.test('garbage', async (t) => {
  const random = dice(t);
  const object = InstanceObject.open(made.name);
  native.laneInspect({ ...lanePlaces(object.plan, 0), worker: 0, fdBase: FD_BASE, half: 0 });
  const places = [...laneTables(CAPACITIES), [TableNumber.Lane, 1], [TableNumber.Worker, 4],
    [TableNumber.Batch, 300]] as const;
  let found = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    for (let i = random.between(1, 40); i > 0; i -= 1) {
      const [table, rows] = random.pick(places);
      const value = random.pick([random.below(100), -random.below(100), random.bits() | 0]);
      made.write(table, random.below(rows), random.below(tables[table]!.rowBytes / 4), value);
    }
    t.ok(reportText(readReport(object, facts), true).length > 0);
    const look = native.laneLook(false);
    if (look !== Look.Moved) found += native.laneExamine(look).length > 0 ? 1 : 0;
  }
  t.ok(found > ROUNDS / 2, `${found} of ${ROUNDS} rounds of garbage found`);
  t.ok((await checkInstance(object)).length > 0);
  object.close();
});

t.test('what is no instance', async (t) => {
  const damage = (column: Superblock, value: number, why: RegExp): void => {
    made.write(TableNumber.Superblock, 0, column, value);
    t.throws(() => InstanceObject.open(made.name), { name: UnreadableObject.name, message: why });
  };
  damage(Superblock.Sessions, 1 << 30, /this version would cut it differently/);
  damage(Superblock.Lanes, 1 << 30, /is damaged: it has 1073741824 lanes/);
  damage(Superblock.Magic, 0, /is not whole: its master is just starting/);
  damage(Superblock.Magic, 7, /cannot be read by this version: not an instance of Baton/);
});
