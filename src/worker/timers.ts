/** The timers of a worker that serves: all of them end when the lane is given away. */
export class Timers {
  readonly #running = new Set<NodeJS.Timeout>();

  every(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setInterval(run, ms);
    this.#running.add(timer);
    return timer;
  }

  after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(run, ms);
    this.#running.add(timer);
    return timer;
  }

  stop(timer: NodeJS.Timeout): void {
    clearTimeout(timer);
    this.#running.delete(timer);
  }

  clear(): void {
    for (const timer of this.#running) clearTimeout(timer);
    this.#running.clear();
  }
}
