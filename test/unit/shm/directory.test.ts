/** What one version writes into the directory, another reads. */
import t from 'tap';
import { HALF_BYTES, readListing, writeListing } from '../../../src/shm/directory.js';
import { Head } from '../../../src/shm/head.js';
import { migrations, type Place } from '../../../src/shm/migrations.js';
import { tables } from '../../../src/shm/layout.js';
import { mapHash } from '../../../src/shm/plan.js';
import {
  Directory, Lane, SCHEMA_HASH, Superblock, TableNumber,
} from '../../../src/tables/columns.gen.js';
import {
  add, FakeRows, layoutWith, openedInMs, remove, replace, same,
} from './layouts.js';

const removal = {
  table: 'session', was: { column: 'mode', type: 'i32', count: 1 } as const, is: null,
  factor: 1, plus: 3, oneWay: true,
};

t.test('a listing is read as it was written', async (t) => {
  const half = new Uint8Array(HALF_BYTES).fill(0xff);
  const changes = { session: replace('opened_us', 'opened_ms', 'i32', '') };
  const listing = layoutWith(changes, [openedInMs, removal]);
  writeListing(half, listing);
  const { hash, tables: read, migrations: readMigrations } = readListing(half, listing.hash);
  t.equal(hash, listing.hash);
  t.same(readMigrations, listing.migrations);
  t.equal(read.length, tables.length);
  for (const [number, table] of listing.tables.entries()) {
    const columns = table.columns.map(({ column, type, count, offset }) =>
      ({ column, type, count, offset, initial: 0 }));
    t.same(read[number], { ...table, columns }, table.name);
  }
  writeListing(half, same);
  t.same(readListing(half, same.hash).migrations, [], 'nothing is left of the one before');
});

t.test('names fit, and the product lists no column twice', async (t) => {
  for (const { name, columns } of tables) {
    t.ok(name.length <= 24 && columns.every((column) => column.name.length <= 24), name);
    t.equal(new Set(columns.map((column) => column.name)).size, columns.length, name);
  }
  const rows = same.tables.reduce((sum, { columns }) => sum + columns.length, migrations.length);
  t.ok(rows * Directory.RowBytes < HALF_BYTES * 0.75, 'with room for what is added');
});

t.test('migrations go from columns that are gone to columns that are there', async (t) => {
  for (const { table, was, is, factor } of migrations) {
    const { columns } = tables.find(({ name }) => name === table)!;
    const has = (place: Place): boolean => columns.some(({ name, type, count }) =>
      name === place.column && type === place.type && count === place.count);
    t.notOk(has(was), `${table}.${was.column} is gone`);
    t.ok(is === null || has(is), `${table}.${is?.column} is there`);
    t.not(factor, 0);
  }
});

// --- the head of an object

function head(): { bytes: Uint8Array; words: Int32Array; head: Head } {
  const { plan } = new FakeRows();
  const bytes = new Uint8Array(plan.sharedBytes);
  const [words, doubles] = [new Int32Array(bytes.buffer), new Float64Array(bytes.buffer)];
  words.set([0x42544f4e, 1]);
  const { capacities } = plan;
  for (const [column, value] of [
    [Superblock.Lanes, capacities.lanes], [Superblock.Pools, capacities.pools],
    [Superblock.Backends, capacities.backends], [Superblock.Sessions, capacities.sessions],
    [Superblock.Links, capacities.links], [Superblock.Requests, capacities.requests],
    [Superblock.Commands, capacities.commands], [Superblock.RouteWords, capacities.routeWords],
    [Superblock.ConfBytes, capacities.confBytes], [Superblock.ArenaBytes, capacities.arenaBytes],
  ] as const) words[column] = value;
  doubles[Superblock.PoolBytesMax] = capacities.poolBytesMax;
  words[Superblock.MapHash] = mapHash(plan);
  return { bytes, words, head: new Head(bytes) };
}

/** Lists a layout in a half and lets lanes use it. */
function list({ words, head: of }: ReturnType<typeof head>, number: 0 | 1, listing: typeof same,
  ...lanes: number[]): void {
  writeListing(of.halfBytes(number), listing);
  words[number === 0 ? Superblock.DirectoryA : Superblock.DirectoryB] = listing.hash;
  const base = of.plan.tableBase[TableNumber.Lane]! / 4;
  for (const lane of lanes) words[base + lane * Lane.RowWords + Lane.SchemaHash] = listing.hash;
}

const added = layoutWith({ session: add('hops', 'i32', '') });
const other = layoutWith({ session: add('tries', 'i32', '') });

t.test('a program looks at the layouts that lanes use', async (t) => {
  const object = head();
  t.equal(same.hash, SCHEMA_HASH);
  list(object, 0, same);
  t.match(object.head.verdict(), { change: 'same' }, 'before any lane has begun');
  t.match(object.head.verdict(added), { change: 'extended' });
  list(object, 0, same, 0, 1);
  list(object, 1, added);
  t.match(object.head.halves(),
    [{ hash: same.hash, isUsed: true }, { hash: added.hash, isUsed: false }]);
  t.match(object.head.verdict(other), { change: 'extended' }, 'what nobody uses does not count');
  list(object, 1, added, 0);
  t.match(object.head.verdict(), { change: 'extended', direction: 'back' }, 'the canary is ahead');
  t.match(object.head.verdict(added), { change: 'extended', direction: 'forward' });
  t.match(object.head.verdict(other), {
    change: 'refused', line: /^shared memory: two other versions use it now: /,
  });
  list(object, 1, added, 1);
  t.match(object.head.verdict(), { direction: 'back' }, 'a version that has been here is known');
  t.match(object.head.verdict(layoutWith({ session: remove('mode') })), { change: 'refused' });
});

t.test('what is no instance of this kind', async (t) => {
  const refusal = (change: (object: ReturnType<typeof head>) => void): string => {
    const object = head();
    list(object, 0, same);
    change(object);
    return object.head.verdict().line;
  };
  const end = ': a full restart is needed';
  t.equal(refusal(() => {}), '');
  t.equal(refusal(({ words }) => { words[Superblock.Magic] = 0; }),
    `shared memory: not an instance of Baton${end}`);
  t.equal(refusal(({ words }) => { words[Superblock.Format] = 9; }),
    `shared memory: its format is 9, this version's is 1${end}`);
  t.equal(refusal(({ words }) => { words[Superblock.Sessions]! += 1; }),
    `shared memory: this version would cut it differently${end}`);
});
