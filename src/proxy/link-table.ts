/**
 * Which row is which link. What there should be follows from the roster, what there is from the
 * rows that the owner before left; both are named by backend, protocol, place, and whether the
 * connection is this lane's:
 *
 *   roster ──► wanted ─┬─ there is such a row ──────► it goes on, whatever it is doing
 *                      └─ there is none ────────────► a free row is defined
 *   rows ────► there ──── nobody wants it any more ─► it leaves
 *
 * Routes find a row by Int32Array: [(index of the server * 2 + resp3) * connections + place].
 */
import type { Roster, RosterBackend, RosterPool } from '../config/roster.js';
import { native } from '../native/binding.js';
import { LinkState } from '../shm/codes.js';
import { LaneHead, Link } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import { LinkRow, type LinkEnd } from './link-row.js';
import { OWN, type RelayHomes } from './relay-homes.js';

const PLACES = 65_536;
const NO_LINKS = new Int32Array(0);

export class LinkTable {
  /** By row; only rows in use. */
  readonly links = new Map<number, LinkRow>();
  readonly #own = new Map<number, number>(); // rows of links with connections of their own, by key
  readonly #wanted = new Map<number, LinkEnd>(); // by key
  readonly #backends = new Map<number, { pool: RosterPool; backend: RosterBackend }>();
  readonly #rowsOf = new Map<number, Int32Array>(); // by pool id, for its routes
  #missing: LinkEnd[] = [];

  constructor(
    private readonly view: LaneView,
    roster: Roster,
    private readonly homes: RelayHomes,
  ) {
    for (const pool of roster.pools) {
      pool.backends.forEach((backend, at) => {
        this.#backends.set(backend.id, { pool, backend });
        const index = at < pool.settings.servers.length ? at : -1;
        if (index >= 0) this.#want(pool, backend, index);
      });
      const { servers, serverConnections } = pool.settings;
      this.#rowsOf.set(pool.id, new Int32Array(servers.length * 2 * serverConnections));
    }
  }

  /** The rows to which the routes of a pool lead; filled by adopt(). */
  rowsOf(poolId: number): Int32Array {
    return this.#rowsOf.get(poolId) ?? NO_LINKS;
  }

  /** The link by which other lanes' requests to a server leave, 0 = there is none (any more). */
  ownRow(backend: number, protocol: number, place: number): number {
    return this.#own.get(keyOf(backend, protocol, place, false))
      ?? this.#own.get(keyOf(backend, protocol, 0, false)) ?? 0;
  }

  /** Matches rows and roster: when the lane is this process's, before its first turn. */
  adopt(): void {
    this.links.clear();
    this.#own.clear();
    const missing = new Map(this.#wanted);
    for (let row = 1; row < this.view.words[this.view.head + LaneHead.LinkTop]!; row++) {
      if (this.#word(row, Link.State) === LinkState.Free) continue;
      const key = this.#keyOf(row);
      const end = missing.get(key);
      missing.delete(key);
      this.#take(row, end ?? this.#formerEnd(row));
    }
    this.#missing = [...missing.values()];
    this.defineMissing();
  }

  /** Whether links are still without a row because those that leave have them. */
  get isShort(): boolean {
    return this.#missing.length > 0;
  }

  /** Gives links that have no row one, as far as there are free ones. */
  defineMissing(): void {
    let row = 1;
    this.#missing = this.#missing.filter((end) => {
      while (row < this.view.linkRows && this.#word(row, Link.State) !== LinkState.Free) row++;
      if (row === this.view.linkRows) return true;
      native.linkDefine(row, end.poolId, end.backend, end.protocol, end.place, end.home + 1);
      this.#note(new LinkRow(this.view, row, end, false));
      return false;
    });
    this.#fillRoutes();
  }

  /** Closes a link for good; what it still owes is answered with `error`. */
  free(link: LinkRow, error: string): void {
    link.lookup = 0;
    native.linkLose(link.row, link.errorOf(error), false);
    native.linkFree(link.row);
    this.links.delete(link.row);
    const { backend, protocol, place } = link.end;
    if (!link.isRelay) this.#own.delete(keyOf(backend, protocol, place, false));
    const rows = this.rowsOf(link.end.poolId);
    const at = rows.indexOf(link.row);
    if (at >= 0) rows[at] = 0; // the row may become another link's
  }

  /** Whether this session's requests to that server go out on this link. */
  isOnCourse(link: LinkRow, session: number): boolean {
    const { index, protocol, poolId, pool } = link.end;
    if (index < 0 || pool === null) return false;
    const connections = pool.serverConnections;
    const first = (index * 2 + protocol - 2) * connections;
    return this.rowsOf(poolId)[first + (session % connections)] === link.row;
  }

  #want(pool: RosterPool, backend: RosterBackend, index: number): void {
    for (const protocol of [2, 3] as const) {
      for (let place = 0; place < pool.settings.serverConnections; place++) {
        const end = endOf(pool, backend, index, protocol, place, this.homes.homeOf(pool, backend));
        this.#wanted.set(keyOf(backend.id, protocol, place, end.home !== OWN), end);
      }
    }
  }

  #take(row: number, end: LinkEnd): void {
    const isUp = this.#word(row, Link.State) === LinkState.Up;
    const link = new LinkRow(this.view, row, end, isUp);
    this.#note(link);
    if (end.index < 0 || !link.isLeaving) return;
    native.linkLeave(row, false);
    if (isUp) link.expect(0);
  }

  #note(link: LinkRow): void {
    const { backend, protocol, place } = link.end;
    this.links.set(link.row, link);
    if (!link.isRelay) this.#own.set(keyOf(backend, protocol, place, false), link.row);
  }

  /** Of a row that no route leads to any more. */
  #formerEnd(row: number): LinkEnd {
    const known = this.#backends.get(this.#word(row, Link.Backend));
    const protocol = this.#word(row, Link.Protocol) === 3 ? 3 : 2;
    const place = this.#word(row, Link.Place);
    const home = this.#word(row, Link.Home) - 1;
    if (known !== undefined) return endOf(known.pool, known.backend, -1, protocol, place, home);
    return {
      pool: null,
      poolId: this.#word(row, Link.Pool),
      backend: this.#word(row, Link.Backend),
      index: -1,
      server: null,
      redisAuth: null,
      redisDb: 0,
      protocol,
      place,
      home,
    };
  }

  /** A place that has no row shares one with another place of the same server. */
  #fillRoutes(): void {
    for (const rows of this.#rowsOf.values()) rows.fill(0);
    const first = new Map<number, number>();
    for (const [row, { end }] of this.links) {
      if (end.index < 0 || end.pool === null) continue;
      const side = end.index * 2 + end.protocol - 2;
      this.rowsOf(end.poolId)[side * end.pool.serverConnections + end.place] = row;
      first.set(keyOf(end.backend, end.protocol, 0, false), row);
    }
    for (const { index, protocol, poolId, pool, place, backend } of this.#missing) {
      const at = (index * 2 + protocol - 2) * pool!.serverConnections + place;
      this.rowsOf(poolId)[at] = first.get(keyOf(backend, protocol, 0, false)) ?? 0;
    }
  }

  #keyOf(row: number): number {
    return keyOf(
      this.#word(row, Link.Backend),
      this.#word(row, Link.Protocol),
      this.#word(row, Link.Place),
      this.#word(row, Link.Home) !== 0,
    );
  }

  #word(row: number, column: Link): number {
    return this.view.words[this.view.link + row * Link.RowWords + column]!;
  }
}

function keyOf(backend: number, protocol: number, place: number, isRelay: boolean): number {
  return ((backend * 2 + protocol - 2) * PLACES + place) * 2 + (isRelay ? 1 : 0);
}

function endOf(
  { id, settings }: RosterPool,
  backend: RosterBackend,
  index: number,
  protocol: 2 | 3,
  place: number,
  home: number,
): LinkEnd {
  return {
    pool: settings,
    poolId: id,
    backend: backend.id,
    index,
    server: backend.server,
    redisAuth: backend.redisAuth,
    redisDb: backend.redisDb,
    protocol,
    place,
    home,
  };
}
