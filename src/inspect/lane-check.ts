/**
 * Checks lanes that others serve, on copies (native/look.h):
 *
 *   it rests within a second ──► everything: rows, chains, counts, free bits
 *        │ no
 *   a copy within one turn   ──► rows and chains, as of the last commit
 *        │ not within two seconds
 *   not checked: too busy
 *
 * What one copy shows is told only if the next two show something as well: damage stays, while a
 * new owner who repairs a lane, or begins it anew, is done by then.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { Look, native } from '../native/binding.js';
import { lanePlaces } from '../shm/lane-places.js';
import { ours } from '../shm/head.js';
import { Lane, Superblock, TableNumber } from '../tables/columns.gen.js';
import { LANES_MAX } from '../shm/plan.js';
import type { InstanceObject } from './instance-object.js';
import { hex } from './names.js';

const REST_PATIENCE_MS = 1000; // a quiet worker wakes, and seals what it has sent, every 100 ms
const TURN_PATIENCE_MS = 2000;
const LOOK_EVERY_MS = 3;
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 30;

/** How much of a lane has been looked at. */
export type Extent = 'all' | 'rows' | 'nothing';

export interface LaneVerdict {
  readonly lane: number;
  readonly checked: Extent;
  readonly why: string; // it is not 'all'
  readonly findings: readonly string[];
}

/** Of each lane that somebody owns or has owned. `fdBase`: the first descriptor of rows. */
export async function checkLanes(object: InstanceObject, fdBase: number): Promise<LaneVerdict[]> {
  const rows = object.rows(TableNumber.Lane, LANES_MAX);
  const lanes = Array.from({ length: LANES_MAX }, (_, lane) => lane)
    .filter((lane) => rows.word(lane, Lane.Epoch) !== 0);
  native.segmentShadow(object.fd, object.plan.bytes);
  const verdicts: LaneVerdict[] = [];
  for (const lane of lanes) verdicts.push(await checkLane(object, lane, fdBase));
  return verdicts;
}

async function checkLane(
  object: InstanceObject, lane: number, fdBase: number,
): Promise<LaneVerdict> {
  const layout = object.rows(TableNumber.Lane, LANES_MAX).word(lane, Lane.SchemaHash);
  if (layout !== ours.hash) {
    const why = `its rows are in layout ${hex(layout)}, this program's is ${hex(ours.hash)}`;
    return { lane, checked: 'nothing', why, findings: [] };
  }
  native.laneInspect({
    ...lanePlaces(object.plan, lane), worker: 0, fdBase,
    half: object.rows(TableNumber.Superblock, 1).word(0, Superblock.Generation) & 1,
  });
  let verdict = await lookOnce(lane);
  for (let looks = 1; looks < LOOKS && verdict.findings.length > 0; looks += 1) {
    await pause(BETWEEN_LOOKS_MS);
    verdict = await lookOnce(lane);
  }
  return verdict;
}

async function lookOnce(lane: number): Promise<LaneVerdict> {
  const look = await lookWithin(REST_PATIENCE_MS, true)
    || await lookWithin(TURN_PATIENCE_MS, false);
  switch (look) {
    case Look.Resting:
      return { lane, checked: 'all', why: '', findings: native.laneExamine(look) };
    case Look.Open: {
      const why = 'it never rested: counts and free units were not compared';
      return { lane, checked: 'rows', why, findings: native.laneExamine(look) };
    }
    case Look.Moved: {
      const why = 'too busy: no turn was as long as a look';
      return { lane, checked: 'nothing', why, findings: [] };
    }
    default:
      return look satisfies never;
  }
}

/** Look.Moved: it was not to be had. */
async function lookWithin(patienceMs: number, onlyResting: boolean): Promise<Look> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const look = native.laneLook(onlyResting);
    const isWanted = onlyResting ? look === Look.Resting : look !== Look.Moved;
    if (isWanted) return look;
    if (performance.now() > until) return Look.Moved;
    await pause(LOOK_EVERY_MS);
  }
}
