/** Niceness: how a process shares the cores with others, from -20 (it goes first) to 19. */
import { readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Weighs about a thirtieth: enough to get on also on a machine without idle time. */
const LOWER_BY = 15;
const LOWEST = 19;

/** What a process gets that is to leave the cores to others of niceness `usual`. */
export function lowNiceness(usual: number): number {
  return Math.min(LOWEST, usual + LOWER_BY);
}

/** Of a process and its threads; those that it makes later inherit it. */
export function setNiceness(pid: number, niceness: number): void {
  for (const thread of threadsOf(pid)) {
    try {
      setPriority(thread, niceness);
    } catch {
      // It has ended, or may not be changed: then it stays as it is.
    }
  }
}

/** For a process that only has to end while others serve: its memory is large. */
export function stepBack(): void {
  setNiceness(process.pid, lowNiceness(getPriority()));
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}
