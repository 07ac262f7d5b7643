/** Whether a process is there, and is still the one that it was: pids are used again. */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/**
 * When a process began, in ticks since boot: with its pid, its identity. Null when there is none
 * of that pid, or only what its parent has yet to collect.
 */
export function birthOf(pid: number): string | null {
  const found = stateOf(pid);
  return found === null || found.isDead ? null : found.birth;
}

/** Whether the process is there, if only for its parent to collect. */
export function isLeft(pid: number, birth: string): boolean {
  return stateOf(pid)?.birth === birth;
}

function stateOf(pid: number): { readonly isDead: boolean; readonly birth: string } | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch {
    return null;
  }
  // The second field, in brackets, may hold blanks and brackets: fields are counted behind it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { isDead: fields[0] === 'Z' || fields[0] === 'X', birth: fields[19]! };
}

/** What ps shows of a process; '' when there is none. */
export function titleOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** An ending in a shell's terms: 128 and the signal, for one that was killed. */
export function shellCode(code: number | null, signal: NodeJS.Signals | null): number {
  return code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
