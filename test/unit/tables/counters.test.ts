/** Totals over lanes: by name, across reloads, never backwards. */
import t from 'tap';
import fc from 'fast-check';
import {
  BackendCounter, CommandCounter, LaneCounter, PoolCounter, TableNumber,
} from '../../../src/tables/columns.gen.js';
import { count } from '../../../src/tables/histogram.js';
import {
  BACKENDS_PER_HALF, FakeInstance, LANES_PER_HALF, named, POOLS_PER_HALF, type FakeLane,
} from './fake-instance.js';

function poolCount(instance: FakeInstance, pool: string, column: PoolCounter): number {
  return instance.source.read().pools.get(pool)?.counts[column] ?? NaN;
}

function serverCount(
  instance: FakeInstance, pool: string, server: string, column: BackendCounter,
): number {
  return instance.source.read().pools.get(pool)?.servers.get(server)?.counts[column] ?? NaN;
}

t.test('counters of every kind are summed over lanes', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a b', 'beta: c'));
  const lanes = [instance.openLane(0, 0), instance.openLane(0, 1)];
  lanes.forEach((lane, index) => {
    const by = index + 1;
    lane.count(LaneCounter.Turns, 10 * by);
    lane.countPool(1, PoolCounter.Requests, 100 * by);
    lane.countServer(2, BackendCounter.Responses, 1000 * by);
    lane.countServer(1, BackendCounter.InQueue, by);
    lane.countCommand(3, CommandCounter.Calls, 7 * by);
    lane.poolLatency(0, 50, by);
    lane.serverLatency(2, 900, by);
  });

  const totals = instance.source.read();
  t.equal(totals.lanes.get(0)?.[LaneCounter.Turns], 10);
  t.equal(totals.lanes.get(1)?.[LaneCounter.Turns], 20);
  t.equal(totals.instance.lane[LaneCounter.Turns], 30);
  t.equal(totals.commands[3 * CommandCounter.RowDoubles + CommandCounter.Calls], 21);
  const [alpha, beta] = [totals.pools.get('alpha'), totals.pools.get('beta')];
  t.equal(alpha?.counts[PoolCounter.Requests], 0);
  t.equal(beta?.counts[PoolCounter.Requests], 300);
  t.equal(beta?.servers.get('c')?.counts[BackendCounter.Responses], 3000);
  t.equal(alpha?.servers.get('b')?.counts[BackendCounter.InQueue], 3);
  t.equal(count(alpha!.latency), 3);
  t.equal(count(beta!.latency), 0);
  t.equal(count(beta!.servers.get('c')!.latency), 3);
  t.equal(count(alpha!.servers.get('a')!.latency), 0);
});

t.test('raw sums are those of the open lanes', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a b'));
  const [first, second] = [instance.openLane(0, 0), instance.openLane(0, 1)];
  first.countServer(1, BackendCounter.Failures, 2);
  second.countServer(1, BackendCounter.Failures, 1);
  const failures = (row: number): number => instance.source.sum(
    TableNumber.BackendCounter, BackendCounter.RowDoubles, row, BackendCounter.Failures,
  );
  t.equal(failures(1), 3);
  t.equal(failures(0), 0);
  instance.source.carry(0);
  t.equal(failures(1), 1);
});

t.test('a reading is a copy', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a'));
  instance.openLane(0, 0).countPool(0, PoolCounter.Requests, 1);
  instance.source.read().pools.get('alpha')!.counts[PoolCounter.Requests] = 99;
  t.equal(poolCount(instance, 'alpha', PoolCounter.Requests), 1);
});

t.test('the counters of a dead worker stay, its gauges go', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a'));
  const lane = instance.openLane(0, 0);
  lane.countPool(0, PoolCounter.Requests, 5);
  lane.countPool(0, PoolCounter.ClientConnections, 4);
  lane.countServer(0, BackendCounter.Requests, 5);
  lane.countServer(0, BackendCounter.Connections, 1);
  lane.countServer(0, BackendCounter.InQueue, 3);
  lane.countServer(0, BackendCounter.InQueueBytes, 90);
  lane.countServer(0, BackendCounter.Failures, 2);
  lane.count(LaneCounter.Turns, 8);
  lane.countCommand(1, CommandCounter.Calls, 5);
  lane.poolLatency(0, 100);
  lane.serverLatency(0, 100);

  instance.source.carry(0);
  instance.source.carry(0); // nothing is counted twice
  lane.countPool(0, PoolCounter.Requests, 50); // nobody reads it any more
  const next = instance.openLane(0, 0);
  next.countPool(0, PoolCounter.Requests, 1);
  next.countPool(0, PoolCounter.ClientConnections, 2);
  next.count(LaneCounter.Turns, 1);

  t.equal(poolCount(instance, 'alpha', PoolCounter.Requests), 6);
  t.equal(poolCount(instance, 'alpha', PoolCounter.ClientConnections), 2);
  t.equal(serverCount(instance, 'alpha', 'a', BackendCounter.Requests), 5);
  for (const gauge of [
    BackendCounter.Connections, BackendCounter.InQueue, BackendCounter.InQueueBytes,
    BackendCounter.Failures,
  ]) t.equal(serverCount(instance, 'alpha', 'a', gauge), 0);
  const totals = instance.source.read();
  t.equal(totals.lanes.get(0)?.[LaneCounter.Turns], 9);
  t.equal(totals.commands[CommandCounter.RowDoubles + CommandCounter.Calls], 5);
  t.equal(count(totals.pools.get('alpha')!.latency), 1);
  t.equal(count(totals.pools.get('alpha')!.servers.get('a')!.latency), 1);
});

t.test('a reload keeps totals by name although rows change', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a b', 'beta: c'));
  const old = instance.openLane(0, 0);
  old.countPool(0, PoolCounter.Requests, 10);
  old.countPool(1, PoolCounter.Requests, 20);
  old.countServer(1, BackendCounter.Requests, 30);
  old.countServer(2, BackendCounter.Connects, 3);
  instance.eject(1, 2, 5_000_000, false);

  instance.openHalf(1, named('beta: c d', 'alpha: b'));
  const young = instance.openLane(1, 0);
  young.countPool(POOLS_PER_HALF, PoolCounter.Requests, 1); // beta comes first now
  young.countServer(BACKENDS_PER_HALF + 2, BackendCounter.Requests, 2); // alpha's b
  instance.eject(BACKENDS_PER_HALF + 2, 1, 4_000_000, true);
  const read = (): unknown[] => [
    poolCount(instance, 'alpha', PoolCounter.Requests),
    poolCount(instance, 'beta', PoolCounter.Requests),
    serverCount(instance, 'alpha', 'b', BackendCounter.Requests),
    instance.source.read().pools.get('alpha')?.ejections,
    instance.source.read().pools.get('alpha')?.servers.get('b')?.ejections,
    instance.source.read().pools.get('alpha')?.servers.get('b')?.ejectedAtUs,
    instance.source.read().pools.get('alpha')?.servers.get('b')?.live,
  ];
  const expected = [10, 21, 32, 3, 3, 5_000_000, true];
  t.same(read(), expected, 'both halves');
  t.same([...instance.source.read().pools.keys()], ['beta', 'alpha'], 'the new order');
  t.same([...instance.source.read().pools.get('alpha')!.servers.keys()], ['b', 'a']);

  instance.source.closeHalf(0);
  t.same(read(), expected, 'the old half is gone');
  t.same([...instance.source.read().pools.get('alpha')!.servers.keys()], ['b'], 'a is removed');
  t.equal(instance.source.read().pools.get('alpha')?.ejections, 3);

  instance.openHalf(0, named('gamma: x'));
  instance.source.closeHalf(1);
  t.same([...instance.source.read().pools.keys()], ['gamma']);
  const totals = instance.source.read().instance;
  t.equal(totals.pool[PoolCounter.Requests], 31, 'the instance remembers removed pools');
  t.equal(totals.server[BackendCounter.Requests], 32);
  t.equal(totals.server[BackendCounter.Connects], 3);
});

t.test('a reload to fewer lanes keeps the sum of the lanes', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a'));
  instance.openLane(0, 0).count(LaneCounter.Accepts, 1);
  instance.openLane(0, 1).count(LaneCounter.Accepts, 10);
  instance.openHalf(1, named('alpha: a'));
  instance.openLane(1, 0).count(LaneCounter.Accepts, 100);
  instance.source.closeHalf(0);
  const totals = instance.source.read();
  t.same([...totals.lanes.keys()], [0]);
  t.equal(totals.lanes.get(0)?.[LaneCounter.Accepts], 101);
  t.equal(totals.instance.lane[LaneCounter.Accepts], 111);
});

t.test('misuse is caught', async (t) => {
  const instance = new FakeInstance();
  instance.openHalf(0, named('alpha: a'));
  instance.openLane(0, 0);
  t.throws(() => instance.openHalf(0, named('alpha: a')), /closed before it is reused/);
  t.throws(() => instance.openLane(0, 0), /carried before it is reused/);
  t.throws(() => instance.source.closeHalf(1), /only an open half/);
});

/** Counts, deaths, reloads in any order: no total of the instance or of a kept pool ever falls. */
t.test('totals are monotonic whatever happens', async (t) => {
  const act = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('count' as const), lane: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('die' as const), lane: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const), lane: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('drained' as const), lane: fc.nat(3) }) },
  );
  const configurations = [named('keep: a b', 'other: c'), named('new: x', 'keep: b y a')];

  t.doesNotThrow(() => fc.assert(fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
    const instance = new FakeInstance();
    const lanes = new Map<number, FakeLane>(); // by lane row
    let half = 0;
    let generation = 0;
    let counted = 0;
    const start = (): void => {
      instance.openHalf(half, configurations[generation % 2]);
      for (let number = 0; number < LANES_PER_HALF; number++) {
        lanes.set(half * LANES_PER_HALF + number, instance.openLane(half, number));
      }
    };
    const drained = (which: number): void => {
      if (!lanes.has(which * LANES_PER_HALF)) return;
      instance.source.closeHalf(which);
      for (let n = 0; n < LANES_PER_HALF; n++) lanes.delete(which * LANES_PER_HALF + n);
    };
    start();
    for (const { kind, lane: row } of acts) {
      const lane = lanes.get(row);
      const rowHalf = Math.floor(row / LANES_PER_HALF);
      if (kind === 'count' && lane !== undefined) {
        // The row of `keep` depends on the configuration that the half was opened with.
        const keep = (rowHalf === half ? generation : generation - 1) % 2 === 0 ? 0 : 1;
        lane.countPool(rowHalf * POOLS_PER_HALF + keep, PoolCounter.Requests, 1);
        lane.count(LaneCounter.Accepts, 1);
        counted++;
      } else if (kind === 'die' && lane !== undefined) {
        instance.source.carry(row);
        lanes.set(row, instance.openLane(rowHalf, row % LANES_PER_HALF));
      } else if (kind === 'reload') {
        drained(1 - half);
        half = 1 - half;
        generation++;
        start();
      } else if (kind === 'drained') {
        drained(1 - half);
      }
      const totals = instance.source.read();
      if (totals.pools.get('keep')?.counts[PoolCounter.Requests] !== counted) return false;
      if (totals.instance.lane[LaneCounter.Accepts] !== counted) return false;
    }
    return true;
  }), { numRuns: 300 }));
});
