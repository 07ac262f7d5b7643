/**
 * Requests whose time is up get an error. The links are swept every eighth of the shortest
 * `timeout`; a link that was silent for as long as its oldest request waited is given up.
 */
import { native } from '../native/binding.js';
import { LinkState } from '../shm/codes.js';
import { BackendCounter, LaneHead, PoolCounter, Request } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import type { LinkRow } from './link-row.js';

const SWEEP_MIN_MS = 5;
const SWEEP_MAX_MS = 100;

export interface TimeoutEvents {
  onSilent(link: LinkRow): void;
  /** Requests of it were late, although it is alive. */
  onLate(link: LinkRow): void;
}

export class RequestTimeouts {
  #sweeper: NodeJS.Timeout | null = null;

  constructor(
    private readonly view: LaneView,
    private readonly links: ReadonlyMap<number, LinkRow>,
    private readonly events: TimeoutEvents,
  ) {}

  start(): void {
    let shortest = Infinity;
    for (const link of this.links.values()) {
      if (link.timeoutMs > 0) shortest = Math.min(shortest, link.timeoutMs);
    }
    if (shortest === Infinity) return;
    const everyMs = Math.max(SWEEP_MIN_MS, Math.min(SWEEP_MAX_MS, Math.floor(shortest / 8)));
    this.#sweeper = setInterval(() => this.#sweep(), everyMs);
  }

  stop(): void {
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    this.#sweeper = null;
  }

  #sweep(): void {
    const now = this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
    for (const link of this.links.values()) {
      if (link.timeoutMs === 0 || link.requests === 0) continue;
      const olderThanUs = now - link.timeoutMs * 1000;
      const isOwn = link.state === LinkState.Up && !link.isRelay; // of others their lanes see it
      const isSilent = isOwn && this.#isSilent(link, olderThanUs);
      const count = native.linkTimeouts(link.row, olderThanUs, link.errorOf('timed out'));
      this.#count(link, count);
      if (isSilent) this.events.onSilent(link);
      else if (count > 0) this.events.onLate(link);
    }
  }

  /** Nothing has come for as long as the oldest request waits: not even a part of its reply. */
  #isSilent(link: LinkRow, olderThanUs: number): boolean {
    const oldest = this.view.request + link.oldestRequest * Request.RowWords;
    return (
      link.receivedUs < olderThanUs &&
      this.view.doubles[oldest / 2 + Request.ArrivedUs]! < olderThanUs
    );
  }

  #count({ end, isRelay }: LinkRow, count: number): void {
    const { doubles, backendCounter, poolCounter } = this.view;
    const backend = backendCounter + end.backend * BackendCounter.RowDoubles;
    const pool = poolCounter + end.poolId * PoolCounter.RowDoubles;
    if (!isRelay) doubles[backend + BackendCounter.ServerTimedout]! += count;
    doubles[pool + PoolCounter.ErrorTimeout]! += count;
  }
}
