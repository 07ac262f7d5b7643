/** Hands a lane's place in shared memory over to C++. */
import { native } from '../native/binding.js';
import { ARGUMENT_WORDS, DESCRIPTORS, RECEIPTS, journalBytes } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import { TableNumber } from '../tables/columns.gen.js';

/** Tables up to here are the instance's; the others lie in the lane's extent. */
const FIRST_LANE_TABLE = TableNumber.LaneHead;

export function attachLane(segment: Segment, lane: number, fdBase: number): void {
  const { plan } = segment;
  const { capacities, region } = plan;
  const firstPeer = lane < capacities.lanes / 2 ? 0 : capacities.lanes / 2;
  const laneBase = segment.laneBase(lane);
  const tableBases = Float64Array.from(plan.tableBase, (base, number) =>
    number >= FIRST_LANE_TABLE ? laneBase + base : base,
  );
  native.laneAttach({
    lane,
    laneBase,
    tableBases,
    regions: Float64Array.of(
      laneBase + region.operation,
      laneBase + region.argument,
      laneBase + region.scratch,
      laneBase + region.journal,
      laneBase + region.arena,
    ),
    sizes: Int32Array.of(
      capacities.sessions,
      capacities.links,
      capacities.requests,
      DESCRIPTORS,
      RECEIPTS,
      capacities.arenaBytes,
      capacities.pools,
      capacities.backends,
      capacities.commands,
      ARGUMENT_WORDS,
      journalBytes(capacities),
    ),
    peerCounters: peerCounters(segment, firstPeer),
    firstPeer,
    fdBase,
  });
}

/** The pool counters of all lanes that can run beside this one: client_connections counts them all. */
function peerCounters(segment: Segment, first: number): Float64Array {
  const { plan } = segment;
  const half = plan.capacities.lanes / 2;
  return Float64Array.from(
    { length: half },
    (_, i) => segment.laneBase(first + i) + plan.tableBase[TableNumber.PoolCounter]!,
  );
}
