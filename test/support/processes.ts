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

export function childrenOf(pid: number): number[] {
  const children: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = read(`/proc/${name}/stat`);
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[1] === String(pid)) children.push(Number(name));
  }
  return children;
}

/** All descendants, the process itself not among them. */
export function treeOf(pid: number): number[] {
  return childrenOf(pid).flatMap((child) => [child, ...treeOf(child)]);
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
