/**
 * Keeps a client's order while its links change. Requests of one client to one server keep their
 * order because they go out on one link; after a reload another link may lead there (another
 * server_connections, another password). A client that still waits for replies of a link that it
 * would not use any more is made to wait: its next request goes out when all before are answered.
 *
 *   links change ─► clients with requests elsewhere are noted ─► the gate of their pool is held:
 *   every request of the pool is looked at slowly ─► none is left: the gate opens
 */
import { Request, Session } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import type { LinkRow } from './link-row.js';
import type { LinkTable } from './link-table.js';

/** The fast path of one pool. */
export interface Gate {
  readonly id: number; // of the pool
  /** Held: no link looks open to the fast path. */
  hold(isHeld: boolean): void;
}

export class Settling {
  readonly #sessions = new Set<number>(); // rows that wait
  #gates: readonly Gate[] = [];
  #isHolding = false;

  constructor(private readonly view: LaneView) {}

  use(gates: readonly Gate[]): void {
    this.#gates = gates;
    this.#hold();
  }

  /** Nobody waits, and every gate is open. */
  get isOver(): boolean {
    return this.#sessions.size === 0 && !this.#isHolding;
  }

  /** Forgets all; the rows of the owner that comes will say it anew. */
  reset(): void {
    this.#sessions.clear();
    this.#hold();
  }

  /** Notes the sessions that wait for a reply of this link, unless it is the one they use. */
  note(link: LinkRow, table: LinkTable): void {
    const { words } = this.view;
    let request = link.oldestRequest;
    for (let left = link.requests; left > 0; left--) {
      const at = this.view.request + request * Request.RowWords;
      const session = words[at + Request.Session]!;
      if (session !== 0 && !table.isOnCourse(link, session)) this.#sessions.add(session);
      request = words[at + Request.LinkNext]!;
    }
  }

  /** Puts into effect what was noted. */
  begin(): void {
    this.#hold();
  }

  isWaiting(session: number): boolean {
    return this.#sessions.has(session);
  }

  /** All that this session asked before is answered. */
  settle(session: number): void {
    this.#sessions.delete(session);
  }

  /** Between turns: whoever waits for nothing is free, and gates that nobody needs are opened. */
  look(): void {
    if (this.isOver) return;
    for (const session of this.#sessions) {
      if (this.#word(session, Session.Requests) === 0) this.#sessions.delete(session);
    }
    this.#hold();
  }

  #hold(): void {
    const pools = new Set<number>();
    for (const session of this.#sessions) pools.add(this.#word(session, Session.Pool));
    for (const gate of this.#gates) gate.hold(pools.has(gate.id));
    this.#isHolding = pools.size > 0;
  }

  #word(session: number, column: Session): number {
    return this.view.words[this.view.session + session * Session.RowWords + column]!;
  }
}
