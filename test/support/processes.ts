/**
 * What the kernel tells about processes, read from /proc.
 */
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import type { Scope } from './scope.js';

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // the process is gone, or was never there
  }
}

/** False for a zombie too: it does nothing any more, whoever has to collect it. */
export function isAlive(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat !== '' && stat.charAt(stat.lastIndexOf(')') + 2) !== 'Z';
}

/** Whether it stands still, by a signal. */
export function isStopped(pid: number): boolean {
  const stat = read(`/proc/${pid}/stat`);
  return stat.charAt(stat.lastIndexOf(')') + 2) === 'T';
}

function allPids(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

/** Every process that there is → its children. */
function families(): Map<number, number[]> {
  const families = new Map<number, number[]>();
  for (const pid of allPids()) {
    const stat = read(`/proc/${pid}/stat`);
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    families.set(parent, [...families.get(parent) ?? [], pid]);
  }
  return families;
}

export function childrenOf(pid: number): number[] {
  return families().get(pid) ?? [];
}

/** All descendants of the given processes, those themselves not among them. */
export function treeOf(...pids: number[]): number[] {
  const children = families();
  const below = (pid: number): number[] =>
    (children.get(pid) ?? []).flatMap((child) => [child, ...below(child)]);
  return pids.flatMap(below);
}

export function titleOf(pid: number): string {
  return read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
}

/** Names under /dev/shm that the process has mapped. */
export function sharedMemoryOf(pid: number): string[] {
  const found = read(`/proc/${pid}/maps`).matchAll(/ (\/dev\/shm\/[^\s]+)/g);
  return [...new Set([...found].map((match) => match[1]!))];
}

/** At the test's end, removes what a process that is going to be killed cannot remove itself. */
export function removeMemory(scope: Scope, pid: number): void {
  const names = sharedMemoryOf(pid);
  scope.teardown(() => names.forEach((name) => rmSync(name, { force: true })));
}

/** Resident memory that is the process's own, in bytes: heap and stacks, no shared memory. */
export function privateBytesOf(pid: number): number {
  return Number(/^RssAnon:\s+(\d+) kB/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

/** Open descriptors. */
export function descriptorsOf(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

/** CPU time used so far, user and system, in milliseconds. */
export function cpuMsOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10; // USER_HZ is 100 on every Linux
}

/** The session that a process belongs to: the pid of its leader. 0 for a process that is gone. */
export function sessionOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3] ?? 0);
}

/** Processes of Baton's that have one of these objects mapped, even if its name is gone. */
export function holdersOf(objects: readonly string[]): number[] {
  if (objects.length === 0) return [];
  return allPids().filter((pid) => titleOf(pid).startsWith('baton')
    && sharedMemoryOf(pid).some((object) => objects.includes(object)));
}
