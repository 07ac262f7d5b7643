/**
 * Goal: a generation is written whole beside the one in use; what stays keeps its state and its
 *   counts, an id that means something new begins with zero; another master reads it all again.
 * Method: memory in plain arrays, lanes and workers played by hand.
 */
import t from 'tap';
import type { Settings } from '../../../src/config/settings.js';
import type { Generation } from '../../../src/master/generation.js';
import type { Instance } from '../../../src/master/instance.js';
import { Distribution } from '../../../src/routing/distribution.js';
import { RouteView } from '../../../src/routing/route-table.js';
import { ListenerState, OwnerState, WorkerState } from '../../../src/shm/codes.js';
import {
  Backend, BackendCounter, Pool, PoolCounter, Superblock, TableNumber, Worker,
} from '../../../src/tables/columns.gen.js';
import { settingsOf } from './conf.js';
import { FakeSegment, HALF } from './fake-segment.js';

function publish(instance: Instance, settings: Settings): Generation {
  const generation = instance.write(instance.nextRoster(settings));
  instance.publish(generation);
  return generation;
}

function poolWords(memory: FakeSegment, row: number): Int32Array {
  const at = memory.wordBase(TableNumber.Pool) + row * Pool.RowWords;
  return memory.shared.words.subarray(at, at + Pool.RowWords);
}

function backendRow(memory: FakeSegment, row: number) {
  const at = memory.wordBase(TableNumber.Backend) + row * Backend.RowWords;
  const { words, doubles } = memory.shared;
  return {
    words: words.subarray(at, at + Backend.RowWords),
    doubles: doubles.subarray(at / 2, at / 2 + Backend.RowDoubles),
  };
}

const ONE = settingsOf('alpha@7000: a=1 b=2 {auto_eject_hosts: true}', 'beta@7001: c=3');

t.test('the first generation lies in half 0', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  t.throws(() => instance.current, /has been published/);
  const generation = instance.write(instance.nextRoster(ONE));
  t.equal(generation.half, 0);
  t.throws(() => instance.current, 'not before it is published');
  instance.publish(generation);
  t.equal(instance.roster, generation.roster);
  t.equal(memory.shared.words[Superblock.MasterPid], process.pid);

  const [beta, alpha] = [poolWords(memory, 0), poolWords(memory, 1)];
  t.equal(beta[Pool.Backends], 1);
  t.equal(alpha[Pool.Backends], 2);
  t.equal(alpha[Pool.Distribution], Distribution.Ketama);
  t.equal(alpha[Pool.Retired], 0);
  t.same([0, 1, 2].map((id) => backendRow(memory, id).words.slice(0, 4)),
    [[0, 0, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]].map((row) => Int32Array.from(row)));
  const { confOffset, confBytes } = generation;
  const json = Buffer.from(memory.shared.bytes.buffer, confOffset, confBytes).toString();
  t.same(JSON.parse(json), generation.roster);
});

t.test('the second one in half 1, with the same ids and routes of its own', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, ONE);
  const before = poolWords(memory, 1).slice();
  const next = instance.write(instance.nextRoster(settingsOf('alpha@7000: a=1 b=2')));
  t.equal(next.half, 1);
  t.same(poolWords(memory, 1), before, 'rows in use are not touched');
  const [beta, alpha] = [poolWords(memory, HALF.pools), poolWords(memory, HALF.pools + 1)];
  t.equal(beta[Pool.Retired], 1);
  t.equal(alpha[Pool.Retired], 0);
  t.equal(backendRow(memory, HALF.backends).words[Backend.Index], 0, 'beta serves its last clients');
  const { routeBase, capacities } = memory.plan;
  const half = capacities.routeWords / 2;
  const routes = memory.shared.words.subarray(routeBase / 4);
  for (const pool of [beta, alpha]) {
    t.ok(pool[Pool.RouteBase]! >= half);
    for (const side of [0, 1]) {
      const view = new RouteView(routes, pool[Pool.RouteBase]! + side * pool[Pool.RouteWords]!);
      t.ok(view.route(12345) >= 0);
    }
  }
});

t.test('a retired backend has no place', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, settingsOf('p@7000: a=1 b=2 c=3'));
  publish(instance, settingsOf('p@7000: a=1 c=3'));
  const indexes = [0, 1, 2].map((id) =>
    backendRow(memory, HALF.backends + id).words[Backend.Index]);
  t.same(indexes, [0, -1, 1]);
});

t.test('who is ejected stays so over a reload, unless the pool ejects no longer', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, ONE);
  const { words, doubles } = backendRow(memory, 2);
  [words[Backend.Live], words[Backend.Ejections]] = [0, 3];
  [doubles[Backend.EjectedUntilUs], doubles[Backend.EjectedAt]] = [5e9, 6e15];
  publish(instance, ONE);
  const kept = backendRow(memory, HALF.backends + 2);
  t.match(kept.words, { [Backend.Live]: 0, [Backend.Ejections]: 3 });
  t.match(kept.doubles, { [Backend.EjectedUntilUs]: 5e9, [Backend.EjectedAt]: 6e15 });
  publish(instance, settingsOf('alpha@7000: a=1 b=2', 'beta@7001: c=3'));
  const freed = backendRow(memory, 2);
  t.match(freed.words, { [Backend.Live]: 1, [Backend.Ejections]: 3 });
  t.match(freed.doubles, { [Backend.EjectedUntilUs]: 0, [Backend.EjectedAt]: 6e15 });
  const other = settingsOf('alpha@7000: a=1 b=9 {auto_eject_hosts: true}', 'beta@7001: c=3');
  publish(instance, other);
  t.equal(backendRow(memory, HALF.backends + 3).words[Backend.Ejections], 0, 'another server');
});

t.test('what lanes use is kept; an id that is reused counts from zero', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  const onlyP = settingsOf('p@7000: a=1');
  publish(instance, settingsOf('p@7000: a=1', 'q@7001: b=2'));
  instance.openLane(2);
  t.same(instance.lanes, [2]);
  const retired = (): string[] => instance.roster.pools
    .filter(({ isRetired }) => isRetired).map(({ settings }) => settings.name);
  memory.countPool(2, 1, PoolCounter.ClientConnections, 1);
  memory.countPool(2, 1, PoolCounter.Requests, 50);
  memory.countBackend(2, 1, BackendCounter.InQueue, 1);
  memory.countBackend(2, 1, BackendCounter.Requests, 40);
  for (let reload = 0; reload < 3; reload++) publish(instance, onlyP);
  t.same(retired(), ['q']);
  memory.countPool(2, 1, PoolCounter.ClientConnections, 0);
  memory.countBackend(2, 1, BackendCounter.InQueue, 0);
  publish(instance, onlyP);
  publish(instance, onlyP);
  t.same(retired(), []);
  const sums = instance.counters.read().instance;
  publish(instance, settingsOf('p@7000: a=1', 'r@7001: b=2'));
  const { pools, instance: after } = instance.counters.read();
  t.match(instance.roster.pools[1], { id: 1, backends: [{ id: 1 }] });
  t.equal(pools.get('r')!.counts[PoolCounter.Requests], 0);
  t.equal(pools.get('r')!.servers.get('b')!.counts[BackendCounter.Requests], 0);
  t.same(after.pool, sums.pool);
  t.same(after.server, sums.server);
});

t.test('counts go on over a reload', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, ONE);
  instance.openLane(0);
  memory.countPool(0, 1, PoolCounter.Requests, 7);
  memory.countBackend(0, 2, BackendCounter.Requests, 6);
  publish(instance, settingsOf('aa@7002: x=1', 'alpha@7000: a=1 b=2', 'beta@7001: c=3'));
  const alpha = instance.counters.read().pools.get('alpha')!;
  t.equal(alpha.counts[PoolCounter.Requests], 7);
  t.equal(alpha.servers.get('b')!.counts[BackendCounter.Requests], 6);
});

t.test('a half with workers is not free', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  const first = publish(instance, ONE);
  const old = instance.takeWorker(0, first);
  t.ok(instance.isHalfFree(), 'it is of the other half');
  const second = publish(instance, ONE);
  t.notOk(instance.isHalfFree());
  t.throws(() => instance.write(instance.nextRoster(ONE)), /into a free half/);
  memory.setWorker(old, WorkerState.Frozen);
  t.notOk(instance.isHalfFree());
  instance.takeWorker(0, second);
  instance.markDead(old);
  t.ok(instance.isHalfFree());
});

t.test('what does not fit is refused and not written', async (t) => {
  const instance = new FakeSegment().instance();
  publish(instance, ONE);
  const many = Array.from({ length: 12 }, (_, index) => `s${index}=${index + 1}`).join(' ');
  const settings = settingsOf(`p@7000: ${many}`);
  t.match(instance.misfits(settings), [/^test\.yml: 15 servers do not fit/]);
  t.throws(() => instance.write(instance.nextRoster(settings)), /only if it fits/);
});

t.test('retired servers give way when the settings are long', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, settingsOf('p@7000: a=1 b=2'));
  publish(instance, settingsOf('p@7000: a=1'));
  t.equal(instance.nextRoster(settingsOf('p@7000: a=1')).pools[0]!.backends.length, 2);
  const long = settingsOf('p@7000: a=1');
  const size = (): number => JSON.stringify(instance.nextRoster(long)).length;
  const room = HALF.confBytes - size() - 10;
  long.pools[0]!.lines['x'.repeat(Math.floor(room / 2) - 20)] = 1; // is there twice
  t.ok(size() < HALF.confBytes);
  t.equal(instance.nextRoster(long).pools[0]!.backends.length, 2);
  long.pools[0]!.lines['x'.repeat(30)] = 1;
  t.equal(instance.nextRoster(long).pools[0]!.backends.length, 1);
  t.same(instance.misfits(long), []);
});

t.test('another master reads it all', async (t) => {
  const memory = new FakeSegment();
  const [old, young] = [memory.instance(), memory.instance()];
  const generation = publish(old, ONE);
  t.same(young.read(0), generation);
  t.equal(young.read(1), null, 'there is none');
  t.equal(young.read(2), null, 'another one lies there');
  young.publish(young.read(0)!);
  const next = young.write(young.nextRoster(settingsOf('alpha@7000: a=1 b=2')));
  t.same(old.read(1), next);
  young.publish(next);
  t.equal(memory.shared.words[Superblock.Generation], 1);
  old.publish(old.current);
  t.equal(memory.shared.words[Superblock.Generation], 0, 'rolled back');
});

t.test('a roster of an older version gets the defaults of what it does not know', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  const roster = structuredClone(instance.nextRoster(ONE)) as unknown as {
    settings: { global: Record<string, unknown> };
    pools: { settings: Record<string, unknown> }[];
  };
  delete roster.settings.global['logLevel'];
  delete roster.pools[1]!.settings['linkQueueLimitBytes'];
  const { confBase } = memory.plan;
  memory.shared.bytes.set(Buffer.from(`${JSON.stringify(roster)}\0`), confBase);
  const read = instance.read(0)!.roster;
  t.equal(read.settings.global.logLevel, 'info');
  t.equal(read.pools[1]!.settings.linkQueueLimitBytes, 64 << 20);
  t.equal(read.pools[1]!.settings.autoEjectHosts, true, 'what is there stays');
  t.same(read.pools[1]!.settings.servers, ONE.pools[1]!.servers);
});

t.test('worker rows', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  const generation = publish(instance, ONE);
  instance.openLane(1);
  const row = instance.takeWorker(1, generation);
  t.equal(row, 1, 'row 0 is nobody\'s');
  t.equal(instance.takeWorker(1, generation), 2);
  t.match(instance.workersOf(1), [
    { row: 1, state: WorkerState.Starting, pid: 0, masterPid: process.pid, generation: 0 },
    { row: 2 },
  ]);
  t.same(instance.workersOf(0), []);
  memory.setWorker(row, WorkerState.Serving);
  memory.own(1, row, OwnerState.Serving);
  t.same(instance.owner(1), { worker: row, state: OwnerState.Serving });
  t.equal(instance.owner(0), null);
  t.ok(instance.isServed(1));

  instance.freeWorker(row);
  t.notOk(instance.isServed(1));
  t.equal(instance.workerState(row), WorkerState.Ended, 'the lane names it as its owner');
  t.equal(instance.takeWorker(1, generation), 3);
  memory.own(1, 2, OwnerState.Frozen);
  t.equal(instance.takeWorker(1, generation), row, 'it does no longer');
  instance.freeWorker(3);
  t.equal(instance.workerState(3), WorkerState.Free);
});

t.test('rows of dead masters are used when there are no others', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  const generation = publish(instance, ONE);
  for (let row = 1; row < 256; row++) t.equal(instance.takeWorker(0, generation), row);
  t.throws(() => instance.takeWorker(0, generation), /no worker row is free/);
  const gone = 2 ** 22 + 1; // beyond any pid
  const at = memory.wordBase(TableNumber.Worker) + 9 * Worker.RowWords;
  memory.shared.words[at + Worker.MasterPid] = gone;
  memory.setWorker(9, WorkerState.Serving, process.pid);
  t.throws(() => instance.takeWorker(0, generation), 'it lives on without its master');
  memory.setWorker(9, WorkerState.Serving, gone);
  t.equal(instance.takeWorker(0, generation), 9);
});

t.test('listeners that lanes watch', async (t) => {
  const memory = new FakeSegment();
  const instance = memory.instance();
  publish(instance, ONE);
  memory.setListener(3, 1, ListenerState.Watched);
  t.notOk(instance.isWatched(1), 'a lane without memory is not looked at');
  instance.openLane(3);
  t.ok(instance.isWatched(1));
  t.notOk(instance.isWatched(0));
});
