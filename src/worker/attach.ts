/** Hands a lane's place in shared memory over to C++. */
import type { OrderedGear, WorkerOrder } from '../base/worker-order.js';
import { native } from '../native/binding.js';
import { ARGUMENT_WORDS, DESCRIPTORS, RECEIPTS, journalBytes } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import { TableNumber } from '../tables/columns.gen.js';

/** Tables up to here are the instance's; the others lie in the lane's extent. */
const FIRST_LANE_TABLE = TableNumber.LaneHead;

/** `fetchedListeners`: ids of those that this process has not been given. */
export function attachLane(
  segment: Segment, order: WorkerOrder, gear: OrderedGear, fetchedListeners: readonly number[],
): void {
  const { plan } = segment;
  const { capacities, region } = plan;
  const laneBase = segment.laneBase(gear.lane);
  const tableBases = Float64Array.from(plan.tableBase, (base, number) =>
    number >= FIRST_LANE_TABLE ? laneBase + base : base,
  );
  native.laneAttach({
    lane: gear.lane,
    worker: order.worker,
    laneBase,
    laneBytes: plan.laneBytes,
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
      capacities.pools / 2,
      capacities.backends / 2,
      capacities.commands,
      ARGUMENT_WORDS,
      journalBytes(capacities),
      capacities.pools,
    ),
    half: order.generation & 1,
    peerCounters: peerCounters(segment),
    laneBases: Float64Array.from(plan.laneBase),
    fdBase: order.fdBase,
    fetchedListeners: Int32Array.from(fetchedListeners),
    epollFd: gear.epollFd,
    bellFd: gear.bellFd,
    keeperFd: gear.keeperFd,
    claimFd: gear.claimFd,
    dockFd: gear.dockFd ?? -1,
    masterPid: order.masterPid,
  });
}

/** The pool counters of all lanes: client_connections counts them all. */
function peerCounters(segment: Segment): Float64Array {
  const { plan } = segment;
  return Float64Array.from(
    { length: plan.capacities.lanes },
    (_, lane) => segment.laneBase(lane) + plan.tableBase[TableNumber.PoolCounter]!,
  );
}
