/**
 * What `baton shm` says of an instance, as one plain object: --json prints it as it is, text.ts
 * makes lines of it. Everything is of the moment at which it was read, and of slightly different
 * ones, for nobody is stopped: a queue may be shorter than nothing for as long as that takes.
 */
import { readDirectory, type TableReport } from './directory-report.js';
import type { Facts, MasterFact } from './facts.js';
import { readFills, type FillReport } from './fill-report.js';
import type { InstanceObject } from './instance-object.js';
import { readLanes, readWorkers, type LaneReport, type WorkerReport } from './owner-report.js';
import { readObject, type ObjectReport } from './object-report.js';
import { readPool, type UnitReport } from './pool-report.js';
import { readBells, readRings, type BellReport, type RingReport } from './ring-report.js';

export interface Report {
  readonly object: ObjectReport;
  readonly masters: readonly (MasterFact & { readonly isInCharge: boolean })[];
  readonly directory: readonly TableReport[];
  readonly lanes: readonly LaneReport[]; // those that somebody owns or has owned
  readonly workers: readonly WorkerReport[];
  readonly fills: readonly FillReport[];
  readonly units: readonly UnitReport[];
  readonly rings: readonly RingReport[]; // those that have ever carried something
  readonly bells: readonly BellReport[];
}

export function readReport(object: InstanceObject, facts: Facts): Report {
  const about = readObject(object);
  const workers = readWorkers(object, facts.isAlive);
  const lanes = readLanes(object, workers);
  const numbers = lanes.map(({ lane }) => lane);
  return {
    object: about,
    masters: facts.masters.map((each) => ({ ...each, isInCharge: each.pid === about.masterPid })),
    directory: readDirectory(object),
    lanes,
    workers,
    fills: readFills(object, numbers, facts),
    units: readPool(object, numbers),
    rings: readRings(object, numbers),
    bells: readBells(object, numbers),
  };
}
