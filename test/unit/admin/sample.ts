/** A small instance with known numbers, for the tests of every way to show them. */
import {
  BackendCounter, CommandCounter, LaneCounter, LaneHead, PoolCounter,
} from '../../../src/tables/columns.gen.js';
import { takeSnapshot, type InstanceFacts, type Snapshot } from '../../../src/admin/snapshot.js';
import type { CountedRoster } from '../../../src/tables/counters.js';
import { FakeInstance, roster } from '../tables/fake-instance.js';

export const STARTED_AT_MS = 1_700_000_000_000;

export const facts: InstanceFacts = {
  version: '0.1.0',
  redisVersion: '7.2.0',
  host: 'box',
  commandNames: ['get', 'set', 'mget', 'client|id'],
  now: () => STARTED_AT_MS + 90_061_500, // a day, an hour, a minute, a second and a half
};

/** Two lanes, pools `alpha` (one, 127.0.0.1:6372) and `b` (three), or others of that shape. */
export function sampleInstance(
  pools: CountedRoster = roster('alpha: one 127.0.0.1-6372', 'b: three'),
): FakeInstance {
  const instance = new FakeInstance(STARTED_AT_MS);
  instance.follow(pools);
  instance.bookMemory(0, 262_144);
  instance.eject(0, 1, 2, 1_700_000_005_000_000, false);
  [instance.openLane(0), instance.openLane(1)].forEach((lane, index) => {
    const by = index + 1;
    lane.head(LaneHead.SessionsOpen, 3 * by);
    lane.head(LaneHead.RequestsOpen, by);
    lane.head(LaneHead.ChunksUsed, 10 * by);
    lane.count(LaneCounter.Turns, 100 * by);
    lane.countPool(0, PoolCounter.ClientConnections, 3 * by);
    lane.countPool(0, PoolCounter.Accepted, 5 * by);
    lane.countPool(0, PoolCounter.ClientEof, 2 * by);
    lane.countPool(0, PoolCounter.Requests, 1000 * by);
    lane.countPool(0, PoolCounter.Replies, 999 * by);
    lane.countPool(0, PoolCounter.BytesIn, 40_000 * by);
    lane.countPool(0, PoolCounter.ForwardError, 4 * by);
    lane.countPool(0, PoolCounter.ErrorCrossslot, by);
    lane.countPool(1, PoolCounter.RefusedClients, 6 * by);
    lane.countServer(0, BackendCounter.Connections, 1);
    lane.countServer(0, BackendCounter.Connects, 1);
    lane.countServer(0, BackendCounter.Requests, 500 * by);
    lane.countServer(0, BackendCounter.RequestBytes, 20_000 * by);
    lane.countServer(0, BackendCounter.InQueue, 5 * by);
    lane.countServer(0, BackendCounter.InQueueBytes, 80 * by);
    lane.countServer(1, BackendCounter.ServerTimedout, 7 * by);
    lane.countCommand(0, CommandCounter.Calls, 100 * by);
    lane.countCommand(0, CommandCounter.Usec, 4_500 * by);
    lane.countCommand(3, CommandCounter.Calls, by);
    lane.countCommand(3, CommandCounter.Errors, by);
    for (const us of [5, 20, 100, 1000]) lane.poolLatency(0, us, by);
    lane.serverLatency(2, 2_000_000, by);
  });
  return instance;
}

export function sampleSnapshot(pools?: CountedRoster): Snapshot {
  return takeSnapshot(sampleInstance(pools).source, facts);
}
