/** Totals over lanes: by name, across reloads, never backwards. */
import t from 'tap';
import fc from 'fast-check';
import {
  BackendCounter, CommandCounter, LaneCounter, PoolCounter,
} from '../../../src/tables/columns.gen.js';
import type { PoolTotals, ServerTotals } from '../../../src/tables/counters.js';
import { count } from '../../../src/tables/histogram.js';
import { BACKENDS, FakeInstance, POOLS, roster } from './fake-instance.js';

function poolOf({ source }: FakeInstance, pool: string): PoolTotals | undefined {
  return source.read().pools.get(pool);
}

function serverOf(instance: FakeInstance, pool: string, server: string): ServerTotals | undefined {
  return poolOf(instance, pool)?.servers.get(server);
}

t.test('counters of every kind are summed over lanes', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a b', 'beta: c'));
  const lanes = [instance.openLane(0), instance.openLane(1)];
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
  t.equal(totals.instance.pool[PoolCounter.Requests], 300);
  t.equal(totals.instance.server[BackendCounter.Responses], 3000);
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

t.test('a reading is a copy', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a'));
  instance.openLane(0).countPool(0, PoolCounter.Requests, 1);
  poolOf(instance, 'alpha')!.counts[PoolCounter.Requests] = 99;
  t.equal(poolOf(instance, 'alpha')?.counts[PoolCounter.Requests], 1);
});

t.test('lanes are read from when they have memory', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a'));
  const views: number[] = [];
  const openLanes = (): void => instance.source.openLanes((lane) => {
    views.push(lane);
    return instance.lanes.get(lane)!.views;
  });
  openLanes();
  t.same(views, []);
  instance.openLane(1);
  t.same(instance.source.lanes.map(({ row }) => row), [1]);
  openLanes();
  t.same(views, [], 'one that is open is not opened again');
});

t.test('what is in use', async (t) => {
  const instance = new FakeInstance();
  const lanes = [instance.openLane(0), instance.openLane(1)];
  t.notOk(instance.source.hasClients(1));
  t.notOk(instance.source.hasLinks(2));
  lanes[1]!.countPool(1, PoolCounter.ClientConnections, 1);
  t.ok(instance.source.hasClients(1));
  t.notOk(instance.source.hasClients(0));
  lanes[1]!.countServer(2, BackendCounter.InQueue, 1);
  t.ok(instance.source.hasLinks(2));
  lanes[0]!.countServer(3, BackendCounter.Connections, 1);
  t.ok(instance.source.hasLinks(3));
  lanes[0]!.countServer(4, BackendCounter.Failures, 7);
  t.notOk(instance.source.hasLinks(4));
  t.same(instance.source.lanes.map((lane) => instance.source.failures(lane, 4)), [7, 0]);
});

t.test('a reload: ids stay, the order and the half change', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a b', 'beta: c'), 0);
  const lane = instance.openLane(0);
  lane.countPool(0, PoolCounter.Requests, 10);
  lane.countPool(1, PoolCounter.Requests, 20);
  lane.countServer(1, BackendCounter.Requests, 30);
  instance.eject(0, 1, 2, 5_000_000, false);
  t.match(poolOf(instance, 'alpha'), { ejections: 2 });

  instance.follow(roster('beta#1: c#2 d#3', 'alpha#0: b#1 -a#0'), 1);
  instance.eject(1, 1, 3, 6_000_000, true);
  lane.countPool(1, PoolCounter.Requests, 1);
  t.same([...instance.source.read().pools.keys()], ['beta', 'alpha']);
  t.equal(poolOf(instance, 'alpha')?.counts[PoolCounter.Requests], 10);
  t.equal(poolOf(instance, 'beta')?.counts[PoolCounter.Requests], 21);
  t.match(serverOf(instance, 'alpha', 'b'), { ejections: 3, ejectedAtUs: 6_000_000, live: true });
  t.equal(serverOf(instance, 'alpha', 'b')?.counts[BackendCounter.Requests], 30);
});

t.test('what is retired is shown while it is used', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a -old', '-gone: x'));
  const lane = instance.openLane(0);
  lane.countPool(1, PoolCounter.Requests, 5);
  lane.countServer(1, BackendCounter.Requests, 6);
  instance.eject(0, 1, 4, 1, true);
  t.same([...instance.source.read().pools.keys()], ['alpha']);
  t.same([...poolOf(instance, 'alpha')!.servers.keys()], ['a']);
  t.equal(poolOf(instance, 'alpha')!.ejections, 4, 'the pool remembers');
  t.equal(instance.source.read().instance.pool[PoolCounter.Requests], 5, 'and so do the sums');
  t.equal(instance.source.read().instance.server[BackendCounter.Requests], 6);

  lane.countPool(1, PoolCounter.ClientConnections, 1);
  lane.countServer(1, BackendCounter.Connections, 1);
  t.same([...instance.source.read().pools.keys()], ['alpha', 'gone']);
  t.same([...poolOf(instance, 'alpha')!.servers.keys()], ['a', 'old']);
});

t.test('a server that has moved goes on counting under its name', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a#3 -a#0'));
  const lane = instance.openLane(0);
  lane.countServer(0, BackendCounter.Requests, 10);
  lane.countServer(3, BackendCounter.Requests, 1);
  lane.serverLatency(0, 100);
  lane.serverLatency(3, 100);
  instance.eject(0, 0, 2, 9, false);
  const server = serverOf(instance, 'alpha', 'a');
  t.equal(server?.counts[BackendCounter.Requests], 11);
  t.equal(count(server!.latency), 2);
  t.match(server, { ejections: 2, live: true });
});

t.test('an id that becomes another\'s begins with zero, and no sum falls', async (t) => {
  const instance = new FakeInstance();
  instance.follow(roster('alpha: a b'));
  for (const lane of [instance.openLane(0), instance.openLane(1)]) {
    lane.countPool(0, PoolCounter.Requests, 10);
    lane.countServer(1, BackendCounter.Requests, 5);
    lane.countServer(1, BackendCounter.Failures, 3);
    lane.poolLatency(0, 100);
    lane.serverLatency(1, 100);
  }
  const before = instance.source.read().instance;
  for (let twice = 0; twice < 2; twice++) {
    instance.source.clearPool(0);
    instance.source.clearBackend(1);
  }
  instance.follow(roster('new: a b'));
  const { instance: after, pools } = instance.source.read();
  t.equal(pools.get('new')!.counts[PoolCounter.Requests], 0);
  t.equal(count(pools.get('new')!.latency), 0);
  t.equal(pools.get('new')!.servers.get('b')!.counts[BackendCounter.Requests], 0);
  t.equal(count(pools.get('new')!.servers.get('b')!.latency), 0);
  t.same(after.pool, before.pool);
  t.equal(after.server[BackendCounter.Requests], 10);
  t.equal(after.server[BackendCounter.Failures], 0, 'a gauge is not carried');
  const nobodys = roster(`nobody#${POOLS - 1}: x#${BACKENDS - 1}`);
  instance.follow(nobodys);
  t.equal(poolOf(instance, 'nobody')!.counts[PoolCounter.Requests], 20);
  t.equal(count(poolOf(instance, 'nobody')!.latency), 2);
  t.equal(count(serverOf(instance, 'nobody', 'x')!.latency), 2);
});

/** Counts and reused ids in any order: no sum over everything ever falls. */
t.test('totals are monotonic whatever happens', async (t) => {
  const act = fc.record({
    kind: fc.constantFrom('count' as const, 'count' as const, 'clear' as const),
    lane: fc.nat(1), id: fc.nat(POOLS - 2),
  });
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
    const instance = new FakeInstance();
    const lanes = [instance.openLane(0), instance.openLane(1)];
    const counted = new Array<number>(POOLS).fill(0);
    let all = 0;
    for (const { kind, lane, id } of acts) {
      if (kind === 'count') {
        lanes[lane]!.countPool(id, PoolCounter.Requests, 1);
        lanes[lane]!.countServer(id, BackendCounter.Requests, 1);
        counted[id]!++;
        all++;
      } else {
        instance.source.clearPool(id);
        instance.source.clearBackend(id);
        counted[id] = 0;
      }
      instance.source.follow(roster(`p#${id}: s#${id}`), 0);
      const totals = instance.source.read();
      if (totals.instance.pool[PoolCounter.Requests] !== all) return false;
      if (totals.instance.server[BackendCounter.Requests] !== all) return false;
      const { counts, servers } = totals.pools.get('p')!;
      if (counts[PoolCounter.Requests] !== counted[id]) return false;
      if (servers.get('s')!.counts[BackendCounter.Requests] !== counted[id]) return false;
    }
    return true;
  }), { numRuns: 300 }));
});
