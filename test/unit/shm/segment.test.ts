/** An object that one process makes and others attach to, as if the maker were another version. */
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { native } from '../../../src/native/binding.js';
import { HALF_BYTES, writeListing, type Listing } from '../../../src/shm/directory.js';
import { describeUpgrade } from '../../../src/shm/head.js';
import { Segment } from '../../../src/shm/segment.js';
import {
  Lane, LaneHead, SCHEMA_HASH, Session, Superblock, TableNumber, Worker,
} from '../../../src/tables/columns.gen.js';
import { add, FakeRows, layoutWith, openedInMs, remove, replace, same } from './layouts.js';

const name = `/baton-segment-test-${process.pid}`;
const capacities = { ...new FakeRows().plan.capacities, poolBytesMax: 64 << 20 };
const segment = Segment.create(name, capacities);
t.teardown(() => native.segmentUnlink(name));
const { shared, plan } = segment;
const lane = segment.openLane(0);
const hash = segment.wordBase(TableNumber.Lane) + Lane.SchemaHash;
const opened = (plan.tableBase[TableNumber.Session]! + 3 * Session.RowBytes) / 8 + Session.OpenedUs;

/** What attacher.ts says. */
function attach(): unknown {
  const program = fileURLToPath(new URL('attacher.js', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, [program, String(plan.bytes)], {
    stdio: ['ignore', 'pipe', 'pipe', segment.fd], encoding: 'utf8',
  });
  t.equal(stderr, '');
  return JSON.parse(stdout);
}

/** As if another version had made the object, and its worker lane 0. */
function pretend(listing: Listing): void {
  const at = plan.tableBase[TableNumber.Directory]!;
  writeListing(shared.bytes.subarray(at, at + HALF_BYTES), listing);
  shared.words[Superblock.DirectoryA] = listing.hash;
  shared.words[Superblock.DirectoryB] = 0;
  shared.words[hash] = listing.hash;
}

t.test('a process of the same version', async (t) => {
  t.ok(existsSync(`/dev/shm${name}`));
  t.equal(segment.verdict, null);
  t.match(attach(), {
    verdict: { change: 'same' }, listed: [SCHEMA_HASH], mayBring: true, brought: true, capacities,
  });
  t.equal(shared.words[hash], SCHEMA_HASH, 'a fresh lane learns its layout');
  t.match(attach(), { brought: false });
});

t.test('opening a lane again leaves it as it is', async (t) => {
  lane.words[7] = 11;
  t.equal(segment.openLane(0).words[7], 11);
  lane.words[7] = 0;
});

t.test('a version before, whose lane is brought', async (t) => {
  const before = layoutWith({
    session: replace('opened_us', 'age', 'i32', ''), worker: remove('life'),
  });
  pretend(before);
  const worker = (plan.tableBase[TableNumber.Worker]! + 5 * Worker.RowBytes + Worker.Life) / 8;
  shared.doubles[worker] = 77;
  const line = 'shared memory: column session.age (i32) is gone here, '
    + 'and no migration is registered: a full restart is needed';
  t.same(attach(), { error: line });
  t.equal(describeUpgrade(segment.fd).line, line);
  t.equal(shared.words[Superblock.DirectoryB], 0, 'a refusal changes nothing');
  t.equal(shared.doubles[worker], 77);

  pretend(layoutWith({ session: remove('blamed_at'), worker: remove('life') }));
  t.match(describeUpgrade(segment.fd), { change: 'extended', columns: ['worker.life: added',
    'session.blamed_at: added'], noWayBack: '' });
  t.match(attach(), { verdict: { change: 'extended' }, mayBring: true, brought: true,
    listed: [Number, SCHEMA_HASH] });
  t.equal(shared.words[Superblock.DirectoryB], SCHEMA_HASH, 'it is listed in the other half');
  t.equal(shared.doubles[worker], 0, 'its columns of instance tables begin as 0');
});

t.test('the way back, by what the newer version has registered', async (t) => {
  const newer = layoutWith({ session: replace('opened_us', 'opened_ms', 'i32', '') }, [openedInMs]);
  lane.words[plan.tableBase[TableNumber.LaneHead]! / 4 + LaneHead.SessionTop] = 5;
  new Int32Array(lane.bytes.buffer)[sessionWord(newer, 3, 'opened_ms')] = 1234;
  pretend(newer);
  t.match(attach(), { verdict: { change: 'migrated' }, mayBring: true, brought: true });
  t.equal(lane.doubles[opened], 1_234_000);
  pretend(layoutWith({ session: replace('opened_us', 'opened_ms', 'i32', '') },
    [{ ...openedInMs, oneWay: true }]));
  t.same(attach(), { error: 'shared memory: there is no way back for column session.opened_us: '
    + 'a full restart is needed' });
});

t.test('a newer version that only adds', async (t) => {
  pretend(layoutWith({ session: add('hops', 'i32', '', 1, 7) }));
  t.match(attach(), { error: /session\.hops \(i32\) is gone here/ }, 'a stranger is refused');
  pretend(same);
  const newer = layoutWith({ session: add('hops', 'i32', '', 1, 7) });
  const at = plan.tableBase[TableNumber.Directory]! + HALF_BYTES;
  writeListing(shared.bytes.subarray(at, at + HALF_BYTES), newer);
  shared.words[Superblock.DirectoryB] = shared.words[hash] = newer.hash;
  t.match(attach(), { verdict: { change: 'extended', direction: 'back' }, brought: true },
    'who was here before takes the lane back');
  t.equal(shared.words[hash], SCHEMA_HASH);
});

function sessionWord(layout: Listing, row: number, column: string): number {
  const { columns } = layout.tables[TableNumber.Session]!;
  const { offset } = columns.find((each) => each.column === column)!;
  return (plan.tableBase[TableNumber.Session]! + row * Session.RowBytes + offset) / 4;
}
