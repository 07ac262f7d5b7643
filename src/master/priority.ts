/**
 * Processes that do nothing for clients must not take the cores from those that do: a starting Node
 * keeps several threads busy for a second, and one that ends gives back a hundred megabytes, which
 * clients would feel more than the takeover itself. So workers start with a lower priority, get the
 * usual one when they are ready, and lose it when they have given their lane away.
 *
 * Without CAP_SYS_NICE there is no way back, so nothing is lowered then but what only has to end.
 */
import { readFileSync } from 'node:fs';
import { getPriority } from 'node:os';
import { lowNiceness, setNiceness } from '../base/niceness.js';

const CAP_SYS_NICE = 23n;

export class Priority {
  readonly #isAllowed = mayRaise();

  /** `usual`: niceness of what serves, -20 to 19. */
  constructor(readonly usual: number = getPriority()) {}

  lower(pid: number): void {
    if (this.#isAllowed) setNiceness(pid, lowNiceness(this.usual));
  }

  /** Of a process and of its children: a worker has a keeper. */
  restore(pid: number): void {
    if (!this.#isAllowed) return;
    for (const process of [pid, ...childrenOf(pid)]) setNiceness(process, this.usual);
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
