/** What the superblock and the file system say of an object as a whole. */
import { Superblock, TableNumber } from '../tables/columns.gen.js';
import type { InstanceObject } from './instance-object.js';
import { hex } from './names.js';

export interface ObjectReport {
  readonly name: string;
  readonly path: string;
  readonly uid: number;
  readonly mode: string; // octal
  readonly reservedBytes: number; // address space
  readonly bytes: number; // of the file, up to what is or was backed
  readonly backedBytes: number;
  readonly format: number;
  readonly mapHash: string;
  readonly layouts: readonly LayoutReport[]; // of the versions that use it, or have
  readonly masterPid: number; // in charge
  readonly startedAtMs: number;
  readonly generation: number; // of the configuration
  readonly routeGeneration: number;
  readonly poolBytesMax: number; // shm_max
}

export interface LayoutReport {
  readonly hash: string;
  readonly isUsed: boolean; // a lane's rows are in it
}

export function readObject(object: InstanceObject): ObjectReport {
  const rows = object.rows(TableNumber.Superblock, 1);
  const { bytes, backedBytes, uid, mode } = object.stat();
  return {
    name: object.name,
    path: object.path,
    uid,
    mode: mode.toString(8).padStart(4, '0'),
    reservedBytes: object.plan.bytes,
    bytes,
    backedBytes,
    format: rows.word(0, Superblock.Format),
    mapHash: hex(rows.word(0, Superblock.MapHash)),
    layouts: object.head().halves().filter(({ hash }) => hash !== 0)
      .map(({ hash, isUsed }) => ({ hash: hex(hash), isUsed })),
    masterPid: rows.word(0, Superblock.MasterPid),
    startedAtMs: rows.double(0, Superblock.StartedAt),
    generation: rows.word(0, Superblock.Generation),
    routeGeneration: rows.word(0, Superblock.RouteGeneration),
    poolBytesMax: rows.double(0, Superblock.PoolBytesMax),
  };
}
