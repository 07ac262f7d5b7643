/** Where a lane's tables and regions lie in the object, as C++ is told (native/lane-attach.cc). */
import type { LaneAttachment } from '../native/binding.js';
import { TableNumber } from '../tables/columns.gen.js';
import { ARGUMENT_WORDS, DESCRIPTORS, RECEIPTS, journalBytes, type InstancePlan } from './plan.js';

/** Tables up to here are the instance's; the others lie in the lane's extent. */
const FIRST_LANE_TABLE = TableNumber.LaneHead;

export type LanePlaces = Pick<LaneAttachment,
  'lane' | 'laneBase' | 'laneBytes' | 'tableBases' | 'regions' | 'sizes' | 'peerCounters' | 'laneBases'>;

export function lanePlaces(plan: InstancePlan, lane: number): LanePlaces {
  const { capacities, region } = plan;
  const laneBase = plan.laneBase[lane]!;
  return {
    lane,
    laneBase,
    laneBytes: plan.laneBytes,
    tableBases: Float64Array.from(plan.tableBase, (base, number) =>
      number >= FIRST_LANE_TABLE ? laneBase + base : base,
    ),
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
    // Of all lanes: client_connections counts them all.
    peerCounters: Float64Array.from(plan.laneBase, (base) =>
      base + plan.tableBase[TableNumber.PoolCounter]!),
    laneBases: Float64Array.from(plan.laneBase),
  };
}
