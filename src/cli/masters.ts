/**
 * What the mute parent knows of its masters, from the lines they say (src/master/parent-line.ts)
 * and from the kernel; decides for whom a signal is and what the exit code will be. Pure.
 *
 *   here 7 ─► known, in charge   here 9 ─► known   serving 9 ─► in charge   ended 7 0 ─► gone
 */

/** For every master; the others are only for the one in charge, as an operator would send them. */
const FOR_ALL: ReadonlySet<NodeJS.Signals> =
  new Set<NodeJS.Signals>(['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGUSR1', 'SIGWINCH']);

export class Masters {
  readonly #known: number[] = []; // in the order in which they came
  #inCharge: number | null = null;
  #hasSpoken = false;
  #hasServed = false;
  #rest = '';
  #last: { readonly pid: number; readonly code: number } | null = null;

  /** Whether signals may be forwarded: a master that still loads would die of them. */
  get isReady(): boolean {
    return this.#hasSpoken;
  }

  /** Whether any of them has come to serve. */
  get hasServed(): boolean {
    return this.#hasServed;
  }

  /** The pids that are not known to have ended. */
  get pids(): readonly number[] {
    return this.#known;
  }

  /**
   * How the master that served last has ended, or the one that ended last if that has not, as a
   * shell says it; null: none has ended.
   */
  get lastCode(): number | null {
    return this.#last?.code ?? null;
  }

  /** The last one has died; another one is to be started, and speaks soon. */
  restart(): void {
    this.#known.length = 0;
    this.#inCharge = null;
    this.#hasSpoken = this.#hasServed = false;
    this.#rest = '';
  }

  /** Takes what has come from the masters, in pieces as they come. Unknown words are for others. */
  hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const [word, pid, code] = line.split(' ');
      if (word === 'here') this.#add(Number(pid));
      else if (word === 'serving') this.#putInCharge(Number(pid));
      else if (word === 'ended') this.end(Number(pid), Number(code));
    }
  }

  /** A master has ended, or is about to. What the kernel says comes later, and counts more. */
  end(pid: number, code: number): void {
    const index = this.#known.indexOf(pid);
    if (index >= 0) this.#known.splice(index, 1);
    else if (this.#last?.pid !== pid) return;
    // Two that end at once are not collected in the order in which they ended.
    const hasServerEnded = this.#hasServed && this.#last?.pid === this.#inCharge;
    if (!hasServerEnded || pid === this.#inCharge) this.#last = { pid, code };
  }

  /** To whom a signal is to be forwarded, oldest first. */
  receivers(signal: NodeJS.Signals): readonly number[] {
    if (FOR_ALL.has(signal)) return [...this.#known];
    const isThere = this.#inCharge !== null && this.#known.includes(this.#inCharge);
    return isThere ? [this.#inCharge!] : this.#known.slice(-1);
  }

  #add(pid: number): void {
    this.#hasSpoken = true;
    if (!this.#known.includes(pid)) this.#known.push(pid);
    this.#inCharge ??= pid;
  }

  #putInCharge(pid: number): void {
    this.#add(pid);
    this.#hasServed = true;
    this.#inCharge = pid;
  }
}
