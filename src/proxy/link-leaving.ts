/**
 * Links that no route leads to any more: of a removed server, of one whose password or database
 * changed, of places beyond server_connections, of a pool that is gone.
 *
 *   marked Leaving, with a deadline in its row ─┬─ nothing is owed any more ──► closed, row free
 *                                               └─ the deadline has passed ───► lost, row free
 *
 * A retired pool keeps its links as long as it has clients. Between turns; every 20 ms while there
 * is anything to look after.
 */
import type { Roster } from '../config/roster.js';
import { native } from '../native/binding.js';
import { LinkState, SessionMode, SessionState } from '../shm/codes.js';
import { RELAY_PLACES } from '../shm/layout.js';
import { LaneHead, PoolCounter, Session, SessionInfo } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import type { LinkRow } from './link-row.js';
import type { LinkTable } from './link-table.js';
import type { Settling } from './settling.js';

const TEND_EVERY_MS = 20;

export class LinkLeaving {
  #tender: NodeJS.Timeout | null = null;

  constructor(
    private readonly view: LaneView,
    private readonly roster: Roster,
    private readonly table: LinkTable,
    private readonly settling: Settling,
  ) {}

  /** Links without a route leave from now on, those that did already go on doing so. */
  adopt(): void {
    for (const link of this.table.links.values()) if (link.end.index < 0) this.leave(link);
    this.#settle();
  }

  start(): void {
    this.#tender = setInterval(() => this.#tend(), TEND_EVERY_MS);
    this.#tend();
  }

  stop(): void {
    if (this.#tender !== null) clearInterval(this.#tender);
    this.#tender = null;
    this.settling.reset();
  }

  /** How many links still leave. */
  get count(): number {
    let count = 0;
    for (const link of this.table.links.values()) if (link.isLeaving) count++;
    return count;
  }

  /** No new requests: no route leads there. It may finish what it owes, for a while. */
  leave(link: LinkRow): void {
    if (link.isLeaving) return;
    native.linkLeave(link.row, true);
    if (link.state === LinkState.Up) link.expect(this.leaveByUs());
  }

  /** Lane time by which a link that leaves from now on must be gone. */
  leaveByUs(): number {
    return this.#nowUs() + this.roster.settings.global.workerShutdownTimeoutMs * 1000;
  }

  #tend(): void {
    this.settling.look();
    for (const { id, isRetired } of this.roster.pools) {
      if (!isRetired || this.#clientsOf(id) > 0 || this.#hasPeers(id, -1)) continue;
      for (const link of this.table.links.values()) if (link.end.poolId === id) this.leave(link);
    }
    for (const link of this.table.links.values()) if (link.isLeaving) this.#see(link);
    if (this.table.isShort) {
      this.table.defineMissing();
      this.#settle();
    }
    if (this.#isDone()) {
      clearInterval(this.#tender!);
      this.#tender = null;
    }
  }

  #see(link: LinkRow): void {
    const { poolId, backend } = link.end;
    if (link.requests === 0 && (link.isRelay || !this.#hasPeers(poolId, backend)))
      return this.table.free(link, '');
    if (link.state === LinkState.Up && link.deadlineUs <= this.#nowUs())
      this.table.free(link, 'removed from the configuration, its time to answer is up');
  }

  #isDone(): boolean {
    const isDraining = this.roster.pools.some(
      ({ id, isRetired }) => isRetired && (this.#clientsOf(id) > 0 || this.#hasPeers(id, -1)),
    );
    return !isDraining && this.count === 0 && this.settling.isOver && !this.table.isShort;
  }

  /** Clients whose requests are under way on links that they would not use any more must wait. */
  #settle(): void {
    for (const link of this.table.links.values()) {
      const { index, place, pool } = link.end;
      const hasOthers = index < 0 || place > 0 || (pool !== null && pool.serverConnections > 1);
      if (hasOthers && link.requests > 0) this.settling.note(link, this.table);
    }
    this.settling.begin();
  }

  /** Sessions of a pool in this lane. */
  #clientsOf(poolId: number): number {
    const at = this.view.poolCounter + poolId * PoolCounter.RowDoubles;
    return this.view.doubles[at + PoolCounter.ClientConnections]!;
  }

  /** Whether relays of other lanes lead to that server; -1: to any of the pool. */
  #hasPeers(poolId: number, backend: number): boolean {
    const { words, session, sessionInfo, head } = this.view;
    for (let row = 1; row < words[head + LaneHead.SessionTop]!; row++) {
      const at = session + row * Session.RowWords;
      if ((words[at + Session.Mode]! & SessionMode.Peer) === 0) continue;
      if (words[at + Session.State] !== SessionState.Open) continue;
      if (words[at + Session.Pool] !== poolId) continue;
      const end = words[sessionInfo + row * SessionInfo.RowWords + SessionInfo.RelayEnd]!;
      if (backend < 0 || Math.floor(end / RELAY_PLACES) === backend) return true;
    }
    return false;
  }

  #nowUs(): number {
    return this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
  }
}
