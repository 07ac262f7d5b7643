/**
 * What a tree of processes costs, read from /proc.
 *
 * CPU: /proc/PID/task/TID/schedstat counts nanoseconds on a core, per thread, and forgets a thread
 * that ended. /proc/PID/stat counts 10 ms ticks and keeps ended threads and waited-for children.
 * The first is the figure; where the second says clearly more, threads ended in between and the
 * second is taken.
 *
 * Memory: shared pages count once. For each process the anonymous and file pages by their share
 * (Pss), and for shared memory the larger of the shares and of what the objects in /dev/shm have
 * allocated: a page that was allocated belongs to its party even while no process maps it.
 * Memory of sockets lies in the kernel and is in neither.
 */
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { endianness } from 'node:os';
import { treeOf, type Identity } from './processes.js';

const NS_PER_TICK = 1e7; // USER_HZ is 100 on every Linux port
const SLACK_NS = 5e7;    // five ticks: several processes may each be one tick off

export interface CpuReading {
  readonly preciseNs: number;
  readonly coarseNs: number;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process or thread ended between the listing and this read
  }
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function nsOnCore(pid: number): number {
  return threadsOf(pid).reduce((sum, thread) => {
    const first = read(`/proc/${pid}/task/${thread}/schedstat`).split(' ')[0];
    return sum + Number(first ?? 0);
  }, 0);
}

/** CPU time used so far by the trees of these processes. */
export function cpuOf(roots: readonly number[]): CpuReading {
  const members = roots.flatMap(treeOf);
  return {
    preciseNs: members.reduce((sum, it) => sum + nsOnCore(it.pid), 0),
    coarseNs: members.reduce((sum, it) => sum + it.ticks * NS_PER_TICK, 0),
  };
}

/** Nanoseconds of CPU between two readings of the same trees. */
export function cpuBetween(before: CpuReading, after: CpuReading): number {
  const precise = after.preciseNs - before.preciseNs;
  const coarse = after.coarseNs - before.coarseNs;
  return coarse > precise * 1.05 + SLACK_NS ? coarse : precise;
}

export interface MemoryReading {
  /** Anonymous, file and shared pages as described above, in KiB. */
  readonly totalKb: number;
  readonly sharedKb: number;
  /** Sum of the processes' resident sets, shared pages counted in each, in KiB. */
  readonly rssKb: number;
}

function kbIn(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

function sharedObjects(members: readonly Identity[]): number {
  const paths = new Set<string>();
  for (const it of members) {
    for (const line of read(`/proc/${it.pid}/maps`).split('\n')) {
      const at = line.indexOf('/dev/shm/');
      if (at >= 0 && !line.endsWith('(deleted)')) paths.add(line.slice(at));
    }
  }
  return [...paths].reduce((sum, path) => {
    const found = statSync(path, { throwIfNoEntry: false });
    return sum + (found === undefined ? 0 : found.blocks / 2); // blocks are 512 bytes
  }, 0);
}

/** Memory held now by the tree of one process. */
export function memoryOf(root: number): MemoryReading {
  const members = treeOf(root);
  let own = 0;
  let shares = 0;
  let rssKb = 0;
  for (const it of members) {
    const text = read(`/proc/${it.pid}/smaps_rollup`);
    own += kbIn(text, 'Pss_Anon') + kbIn(text, 'Pss_File');
    shares += kbIn(text, 'Pss_Shmem');
    rssKb += kbIn(text, 'Rss');
  }
  const sharedKb = Math.max(shares, sharedObjects(members));
  return { totalKb: own + sharedKb, sharedKb, rssKb };
}

/** TIME_WAIT sockets whose remote end is this IPv4 address and port. */
export function timeWaitTo(address: string, port: number): number {
  const bytes = Buffer.from(address.split('.').map(Number));
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, '0');
  // /proc/net/tcp prints the address as a word in the machine's byte order
  const word = endianness() === 'LE' ? bytes.readUInt32LE() : bytes.readUInt32BE();
  const remote = `${hex(word, 8)}:${hex(port, 4)}`;
  return read('/proc/net/tcp').split('\n').filter((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[3] === '06' && fields[2] === remote;
  }).length;
}
