/**
 * One pool as the dispatch of one lane sees it: who owns a hash, and which link leads there.
 *
 *   hash ──RouteView──► index of the server ──rows──► one link of its RESP2 set, or its RESP3 set
 *                                                      └ one of server_connections, fixed for a
 *                                                        session, so that a client's requests to a
 *                                                        server keep their order
 */
import type { Roster } from '../config/roster.js';
import type { PoolSettings } from '../config/settings.js';
import { RouteView } from '../routing/route-table.js';
import type { Segment } from '../shm/segment.js';
import { Pool, TableNumber } from '../tables/columns.gen.js';
import type { LinkSet } from './link-set.js';

/** A pool's row of the instance table, as far as routes need it. */
export interface PoolRow {
  readonly hashKind: number;
  readonly tagOpen: number; // -1: no tag
  readonly tagClose: number;
  readonly routeBase: number; // first word of the first of two generations
  readonly generationWords: number;
}

export class PoolRoute {
  readonly view: RouteView;
  readonly hashKind: number;
  readonly tagOpen: number;
  readonly tagClose: number;
  readonly queueLimit: number; // bytes
  /** What the fast path takes for queueLimit; below 0 no link looks open to it. */
  gate: number;
  readonly #connections: number;
  readonly #routeBase: number;
  readonly #generationWords: number;

  constructor(
    readonly id: number,
    readonly settings: PoolSettings,
    row: PoolRow,
    private readonly links: Int32Array, // see LinkTable
    routeWords: Int32Array,
  ) {
    this.view = new RouteView(routeWords, row.routeBase | 0);
    this.hashKind = row.hashKind;
    this.tagOpen = row.tagOpen;
    this.tagClose = row.tagClose;
    this.queueLimit = this.gate = settings.linkQueueLimitBytes;
    this.#connections = settings.serverConnections;
    this.#routeBase = row.routeBase;
    this.#generationWords = row.generationWords;
  }

  /** Follows the master to generation `number` (superblock.route_generation). */
  follow(number: number): void {
    // Small integers stay small integers to V8, wherever the row's columns came from.
    this.view.select((this.#routeBase + (number & 1) * this.#generationWords) | 0);
  }

  /** The link row for a server of this pool, 0 = it has none; `resp3` is 0 or 1. */
  linkOf(index: number, resp3: number, session: number): number {
    const first = (index * 2 + resp3) * this.#connections;
    return this.links[this.#connections === 1 ? first : first + (session % this.#connections)]!;
  }

  get isHeld(): boolean {
    return this.gate !== this.queueLimit;
  }

  hold(isHeld: boolean): void {
    this.gate = isHeld ? -1 : this.queueLimit;
  }
}

/**
 * The routes of every pool of the roster, retired ones too, by id; ids that it does not have are
 * undefined. `half` is where the roster's rows lie; `routeWords` the whole route region.
 */
export function makeRoutes(
  segment: Segment,
  roster: Roster,
  links: LinkSet,
  half: number,
  routeWords: Int32Array,
): (PoolRoute | undefined)[] {
  const { words } = segment.shared;
  const firstRow = half * (segment.plan.capacities.pools / 2);
  const top = Math.max(...roster.pools.map(({ id }) => id)) + 1;
  const routes = Array.from<PoolRoute | undefined>({ length: top });
  for (const { id, settings } of roster.pools) {
    const at = segment.wordBase(TableNumber.Pool) + (firstRow + id) * Pool.RowWords;
    const row = {
      hashKind: words[at + Pool.Hash]!,
      tagOpen: words[at + Pool.TagOpen]!,
      tagClose: words[at + Pool.TagClose]!,
      routeBase: words[at + Pool.RouteBase]!,
      generationWords: words[at + Pool.RouteWords]!,
    };
    routes[id] = new PoolRoute(id, settings, row, links.rowsOf(id), routeWords);
  }
  links.use(routes.filter((route) => route !== undefined));
  return routes;
}
