/**
 * An instance that runs, as an outsider sees it: which master is in charge, what it serves, and
 * whether this program could take it over. Found by a master's pid, read without mapping anything.
 */
import { closeSync, openSync, readdirSync, readlinkSync, readSync } from 'node:fs';
import type { Roster } from '../config/roster.js';
import { Head } from '../shm/head.js';
import { Superblock } from '../tables/columns.gen.js';
import { readRoster } from './stored-roster.js';

/** As memory.ts names it; behind an object without a name the kernel writes "(deleted)". */
const OBJECT = /^\/dev\/shm\/baton-/;

export interface RunningInstance {
  readonly masterPid: number; // of the one in charge
  readonly roster: Roster | null; // what it serves; null: this program cannot read it
  /** Why this program cannot take it over, or cannot give it back then; '' when it can. */
  readonly noUpgrade: string;
  readonly noRollBack: string;
}

/** Null when that process holds none. Throws the system's error when it must not be looked at. */
export function readRunning(pid: number): RunningInstance | null {
  const fd = openObject(pid);
  if (fd === null) return null;
  try {
    const head = Head.read(fd);
    const words = new Int32Array(head.bytes.buffer, head.bytes.byteOffset, Superblock.RowWords);
    const { change, line, noWayBack } = head.verdict();
    return {
      masterPid: words[Superblock.MasterPid]!,
      roster: change === 'refused' ? null : readConf(fd, head, words[Superblock.Generation]! & 1),
      noUpgrade: line,
      noRollBack: noWayBack,
    };
  } finally {
    closeSync(fd);
  }
}

function openObject(pid: number): number | null {
  const folder = `/proc/${pid}/fd`;
  for (const name of readdirSync(folder)) {
    try {
      const path = `${folder}/${name}`;
      if (OBJECT.test(readlinkSync(path))) return openSync(path, 'r');
    } catch (error) {
      // It has been closed since; but one that may not be opened is the one that was looked for.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return null;
}

function readConf(fd: number, head: Head, half: number): Roster | null {
  const { confBase, capacities } = head.plan;
  const region = new Uint8Array(capacities.confBytes / 2);
  readSync(fd, region, 0, region.length, confBase + half * region.length);
  return readRoster(region)?.roster ?? null;
}
