/**
 * One timer for all links of a lane: it rings for the earliest deadline or retry that their rows
 * name, and is set anew. Nothing of it outlives its process, and nothing of it has to.
 */
import { LinkState } from '../shm/codes.js';
import { LaneHead } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import type { LinkRow } from './link-row.js';

/** A timer may come a little before its time. */
const EARLY_US = 1000;
const LONGEST_MS = 2 ** 31 - 1;

export class LinkAlarm {
  #links: ReadonlyMap<number, LinkRow> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #atUs = Infinity;

  constructor(
    private readonly view: LaneView,
    private readonly onDue: (link: LinkRow) => void,
  ) {}

  start(links: ReadonlyMap<number, LinkRow>): void {
    this.#links = links;
    for (const link of links.values()) this.noteDue(link);
  }

  stop(): void {
    this.#links = null;
    this.#clear();
  }

  /** The link's row has got another deadline or retry. */
  noteDue(link: LinkRow): void {
    const atUs = dueOf(link);
    if (this.#links === null || atUs >= this.#atUs) return;
    this.#clear();
    this.#atUs = atUs;
    const delay = Math.min(LONGEST_MS, Math.max(0, Math.ceil((atUs - this.#nowUs()) / 1000)));
    this.#timer = setTimeout(() => this.#ring(), delay);
  }

  #ring(): void {
    this.#timer = null;
    this.#atUs = Infinity;
    const soon = this.#nowUs() + EARLY_US;
    for (const link of this.#links?.values() ?? []) {
      if (dueOf(link) <= soon) this.onDue(link);
    }
    for (const link of this.#links?.values() ?? []) this.noteDue(link);
  }

  #clear(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#atUs = Infinity;
  }

  #nowUs(): number {
    return this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
  }
}

/** Lane time at which something must happen by itself; Infinity: nothing must. */
function dueOf(link: LinkRow): number {
  const { state } = link;
  if (state === LinkState.Up || state === LinkState.Free) return Infinity;
  const atUs = state === LinkState.Down ? link.retryUs : link.deadlineUs;
  return atUs > 0 ? atUs : Infinity;
}
