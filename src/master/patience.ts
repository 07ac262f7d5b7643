/** How long a state machine waits for what should happen; one thing at a time. */
export class Patience {
  #timer: NodeJS.Timeout | null = null;
  #isOver = false;

  /** `changed` is called when the time is over. */
  constructor(private readonly changed: () => void) {}

  /** From now on, for so long; null: for ever. What was waited for before is forgotten. */
  begin(delayMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isOver = false;
    this.#timer = delayMs === null ? null : setTimeout(() => {
      this.#isOver = true;
      this.changed();
    }, delayMs);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it is over; said once. */
  takeOver(): boolean {
    const isOver = this.#isOver;
    this.#isOver = false;
    return isOver;
  }
}
