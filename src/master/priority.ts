/**
 * Processes that only get ready must not take the cores from those that serve: a starting Node
 * keeps several threads busy for a second, and clients would feel that more than the takeover
 * itself. So they start with a lower priority and get the usual one back when they are ready.
 *
 * Without CAP_SYS_NICE there is no way back, so nothing is lowered then.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Weighs about a thirtieth of a usual one: enough to get ready also on a machine without idle time. */
const LOWER_BY = 15;
const LOWEST = 19;
const CAP_SYS_NICE = 23n;

export class Priority {
  readonly #isAllowed = mayRaise();

  /** `usual`: niceness of what serves, -20 to 19. */
  constructor(readonly usual: number = getPriority()) {}

  /** Of a process that has just been started: threads that it makes inherit it. */
  lower(pid: number): void {
    if (this.#isAllowed) setQuietly(pid, Math.min(LOWEST, this.usual + LOWER_BY));
  }

  /** Of a process, of its threads, and of its children (a worker has a keeper). */
  restore(pid: number): void {
    if (!this.#isAllowed) return;
    for (const process of [...threadsOf(pid), ...childrenOf(pid)]) setQuietly(process, this.usual);
  }
}

function setQuietly(pid: number, niceness: number): void {
  try {
    setPriority(pid, niceness);
  } catch {
    // It has ended, which is noticed elsewhere.
  }
}

function threadsOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map(Number);
  } catch {
    return [];
  }
}

/** Those that its main thread has started. */
function childrenOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
    return text === '' ? [] : text.split(' ').map(Number);
  } catch {
    return [];
  }
}

function mayRaise(): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return (BigInt(`0x${capabilities?.[1] ?? '0'}`) >> CAP_SYS_NICE & 1n) === 1n;
}
