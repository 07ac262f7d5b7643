/**
 * One pool as the dispatch of one lane sees it: which backend owns a hash, and which link leads there.
 *
 *   hash ──RouteView──► backend ──► links of that backend: RESP2 set | RESP3 set
 *                                    └ one of server_connections, fixed for a session, so that a
 *                                      client's requests to a server keep their order
 */
import type { PoolSettings } from '../config/settings.js';
import { RouteView } from '../routing/route-table.js';

export class PoolRoute {
  readonly view: RouteView;

  constructor(
    readonly settings: PoolSettings,
    readonly row: number,
    readonly firstBackend: number,
    readonly connections: number,
    readonly hashKind: number,
    readonly tagOpen: number, // -1: no tag
    readonly tagClose: number,
    readonly queueLimit: number,
    private readonly firstLink: number,
    routeWords: Int32Array,
    private readonly routeBase: number,
    private readonly generationWords: number,
  ) {
    this.view = new RouteView(routeWords, routeBase);
  }

  /** Follows the master to generation `number` (superblock.route_generation). */
  follow(number: number): void {
    this.view.select(this.routeBase + (number & 1) * this.generationWords);
  }

  /** The link row for a backend of this pool; `resp3` is 0 or 1. */
  linkOf(place: number, resp3: number, session: number): number {
    const first = this.firstLink + (place * 2 + resp3) * this.connections;
    return this.connections === 1 ? first : first + (session % this.connections);
  }
}
