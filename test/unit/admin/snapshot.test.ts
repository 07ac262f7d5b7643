/** The snapshot: right numbers in the right fields. */
import t from 'tap';
import { Lane } from '../../../src/tables/columns.gen.js';
import { LaneState } from '../../../src/shm/codes.js';
import { LANE_STATES, takeSnapshot } from '../../../src/admin/snapshot.js';
import { facts, sampleInstance, sampleSnapshot, STARTED_AT_MS } from './sample.js';

t.test('instance', async (t) => {
  const { plan } = sampleInstance();
  const snapshot = sampleSnapshot();
  t.match(snapshot, {
    version: '0.1.0', host: 'box', masterPid: 4321, startedAtMs: STARTED_AT_MS,
    uptimeSeconds: 90_061,
  });
  t.same(snapshot.shm, {
    allocatedBytes: plan.sharedBytes + 2 * plan.laneBytes + 262_144,
    reservedBytes: plan.bytes,
    poolBytes: 262_144,
    poolMaxBytes: 1 << 20,
  });
  t.match(snapshot.totals, {
    clients: 9, accepted: 15, links: 2, connects: 2, requests: 3000, replies: 2997,
    bytesIn: 120_000, bytesOut: 0, errors: { server: 12, crossslot: 3, clientLimit: 18, auth: 0 },
  });
});

t.test('pools and servers', async (t) => {
  const [alpha, b] = sampleSnapshot().pools;
  t.match(alpha, {
    name: 'alpha', clients: 9, clientEof: 6, ejections: 2, errors: { crossslot: 3 },
  });
  t.match(b, { name: 'b', clients: 0, errors: { clientLimit: 18 } });
  t.match(alpha.servers, [
    { name: 'one', live: true, connections: 2, requests: 1500, owed: 15, unsentBytes: 240 },
    { name: '127.0.0.1-6372', live: false, timeouts: 21, ejections: 2,
      ejectedAtUs: 1_700_000_005_000_000 },
  ]);
  t.match(b.servers, [{ name: 'three', live: true }]);
});

t.test('latencies', async (t) => {
  const [alpha, b] = sampleSnapshot().pools;
  t.ok(alpha.latency.p50Us >= 20 && alpha.latency.p50Us < 22);
  t.ok(alpha.latency.p99Us >= 960 && alpha.latency.p99Us < 1024);
  t.equal(b.latency.p99Us, 0);
  t.ok(Math.abs(b.servers[0].latency.p999Us - 2e6) < 250_000);
});

t.test('commands that were never called are left out', async (t) => {
  t.same(sampleSnapshot().commands, [
    { name: 'get', calls: 300, errors: 0, usec: 13_500 },
    { name: 'client|id', calls: 3, errors: 3, usec: 0 },
  ]);
});

t.test('lanes', async (t) => {
  const instance = sampleInstance();
  instance.laneWord(1, Lane.Sleeping, 1);
  instance.laneWord(1, Lane.Restarts, 2);
  instance.laneWord(1, Lane.Takeovers, 3);
  instance.lanePause(1, 850);
  const { lanes } = takeSnapshot(instance.source, facts);
  t.match(lanes, [
    { lane: 0, owner: 100, state: 'serving', sessions: 3, turns: 100, sleeping: false,
      requestsInFlight: 1, chunksUsed: 10, takeovers: 0, workerStartedAtMs: 1_700_000_000_000 },
    { lane: 1, owner: 101, sessions: 6, turns: 200, sleeping: true, restarts: 2, takeovers: 3,
      pauseUs: 850, workerStartedAtMs: 1_700_000_000_001 },
  ]);
});

t.test('a lane that nobody owns', async (t) => {
  const instance = sampleInstance();
  instance.laneWord(1, Lane.Owner, 0);
  instance.laneWord(1, Lane.State, LaneState.Free);
  const { lanes } = takeSnapshot(instance.source, facts);
  t.match(lanes[1], { lane: 1, owner: 0, state: 'free', turns: 200, workerStartedAtMs: 0 });
});

t.test('lane states are named as the codes number them', async (t) => {
  t.equal(LANE_STATES[LaneState.Free], 'free');
  t.equal(LANE_STATES[LaneState.Starting], 'starting');
  t.equal(LANE_STATES[LaneState.Serving], 'serving');
  t.equal(LANE_STATES[LaneState.Draining], 'draining');
  t.equal(LANE_STATES[LaneState.Stopped], 'stopped');
});
