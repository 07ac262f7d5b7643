/**
 * All links of a lane: when to connect, what to say first, when to give up. The bytes are C++'s
 * (native/link.cc); this is the policy. What must be known of a link is in its row, so that the
 * lane's next owner goes on where this one stops:
 *
 *          ┌─────────────────── lost: at once ───────────────────┐
 *   Down ──needed──► Resolving ─► Connecting ─► Handshake ─► Up ─┘
 *     ▲ after retry_us   └──────────────┴────────────┴─ failed, or deadline_us has passed
 *     └───────────────────────────────────────────────┘ until retry_us requests fail at once
 *
 * A lost connection answers what was on its way with an error, keeps what had not begun to leave,
 * and is tried again at once. A connect that fails answers everything, and the next one waits:
 * twice as long each time, with jitter, so that a hundred proxies do not return in step.
 *
 * A link that no route leads to any more is Leaving: it finishes what it owes, then it is closed.
 */
import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import type { Roster } from '../config/roster.js';
import type { PoolSettings, ServerSettings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { LinkState } from '../shm/codes.js';
import { RELAY_PLACES } from '../shm/layout.js';
import { BackendCounter, LaneHead, Link } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import { LinkAlarm } from './link-alarm.js';
import { LinkLeaving } from './link-leaving.js';
import { reasonOf, type LinkRow } from './link-row.js';
import { LinkTable } from './link-table.js';
import { NO_HOMES, type RelayHomes } from './relay-homes.js';
import { RequestTimeouts } from './request-timeouts.js';
import { Settling, type Gate } from './settling.js';

const ETIMEDOUT = 110;
/** How often, and how long, relays look whether their home lane is ready: it may be starting. */
const OPEN_EVERY_MS = 5;
const OPEN_PATIENCE_MS = 10_000;
const NOT_REACHED = 'cannot be reached'; // the reason is still to be told
const NOT_CONFIGURED = Buffer.from('-ERR no connection to the server is free yet, try again\r\n');

export interface LinkEvents {
  /** A server came or went; once per change, not per attempt. */
  onChange(server: ServerSettings, pool: PoolSettings, up: boolean, reason: string): void;
  /** A server has failed server_failure_limit times in a row: the master should look. */
  onFailing(): void;
}

export class LinkSet {
  readonly #table: LinkTable;
  readonly #settling: Settling;
  readonly #alarm: LinkAlarm;
  readonly #leaving: LinkLeaving;
  readonly #timeouts: RequestTimeouts;
  readonly #isDown = new Set<number>(); // backends that onChange has called down
  #lookups = 0;
  #opening: NodeJS.Timeout | null = null;
  #running = false;

  constructor(
    private readonly view: LaneView,
    roster: Roster,
    private readonly events: LinkEvents,
    private readonly homes: RelayHomes = NO_HOMES,
  ) {
    this.#table = new LinkTable(view, roster, homes);
    this.#settling = new Settling(view);
    this.#leaving = new LinkLeaving(view, roster, this.#table, this.#settling);
    this.#alarm = new LinkAlarm(view, (link) => this.#expire(link));
    this.#timeouts = new RequestTimeouts(view, this.#table.links, {
      onSilent: (link) => this.#fail(link, ETIMEDOUT),
      onLate: (link) => this.#countFailure(link),
    });
  }

  // --- what the routes need

  /** Rows of the links of a pool, as PoolRoute.linkOf reads them; adopt() fills them. */
  rowsOf(poolId: number): Int32Array {
    return this.#table.rowsOf(poolId);
  }

  /** The fast paths that are held while clients' old links have not answered yet. */
  use(gates: readonly Gate[]): void {
    this.#settling.use(gates);
  }

  // --- the owner

  /**
   * Learns from rows what the owner before has left, and says there what this roster makes of it.
   * To be called when the lane is this process's, before its first turn; again each time the lane
   * comes back.
   */
  adopt(): void {
    this.#table.adopt();
    this.#isDown.clear();
    for (const link of this.#links()) {
      const isDown = link.state !== LinkState.Up && link.reason !== '' && !link.isRelay;
      if (isDown) this.#isDown.add(link.end.backend);
    }
    this.#leaving.adopt();
  }

  /** Connects what is waited for and what `preconnect` asks for, and begins to watch the time. */
  start(): void {
    this.#running = true;
    for (const link of this.#links()) this.#goOn(link);
    this.#alarm.start(this.#table.links);
    this.#timeouts.start();
    this.#leaving.start();
  }

  /** No more connects, no timers. What is under way is in the rows. */
  stop(): void {
    this.#running = false;
    this.#alarm.stop();
    this.#timeouts.stop();
    this.#leaving.stop();
    if (this.#opening !== null) clearTimeout(this.#opening);
    this.#opening = null;
  }

  /** How many links still leave. */
  leftOver(): number {
    return this.#leaving.count;
  }

  /** The link by which requests of a peer leave (session_info.relay_end), 0 = there is none. */
  ownRow(end: number, resp3: number): number {
    return this.#table.ownRow(Math.floor(end / RELAY_PLACES), 2 + resp3, end % RELAY_PLACES);
  }

  // --- a request wants to go out

  /** Whether a link's row says that requests may go out on it. */
  isUp(row: number): boolean {
    return this.view.words[this.view.link + row * Link.RowWords + Link.State] === LinkState.Up;
  }

  /**
   * Makes a link that is not up ready to be queued on. False: its server cannot be reached now, the
   * request is to be refused with `refusal`.
   */
  prepare(row: number): boolean {
    const link = this.#table.links.get(row);
    if (link === undefined) return false;
    if (link.state !== LinkState.Down) return true;
    // The row is the lost connection's until onLost(): then one that was up is connected again.
    if (link.isLossUntold) return link.wasUp;
    if (link.retryUs > this.#nowUs()) return false;
    this.#connect(link);
    return link.state !== LinkState.Down;
  }

  /** Why requests to this link are refused, as a RESP error. */
  refusal(row: number): Buffer {
    const link = this.#table.links.get(row);
    return link === undefined ? NOT_CONFIGURED : link.errorOf(link.reason || NOT_REACHED);
  }

  /** Whether a session must not ask further before everything that it asked is answered. */
  isSettling(session: number): boolean {
    return this.#settling.isWaiting(session);
  }

  /** It is. */
  settled(session: number): void {
    this.#settling.settle(session);
  }

  // --- what happens to a link

  onUp(row: number): void {
    const link = this.#table.links.get(row);
    if (link?.state !== LinkState.Handshake) return;
    const hello = link.handshake();
    if (hello.length === 0) return this.#ready(link);
    const result = native.linkHandshake(row, Buffer.concat(hello));
    if (result < 0) return this.#fail(link, -result);
    this.#expect(link, hello.length);
  }

  onReply(row: number, reply: Buffer): void {
    const link = this.#table.links.get(row);
    if (link?.state !== LinkState.Handshake) return;
    if (reply[0] === 0x2d /* - */) {
      const text = reply.subarray(1, reply.indexOf('\r')).toString('latin1');
      return this.#giveUp(link, `the handshake was refused: ${text}`);
    }
    const due = link.repliesDue - 1;
    if (due <= 0) return this.#ready(link);
    link.expect(link.deadlineUs, due);
  }

  onLost(row: number, errno: number): void {
    const link = this.#table.links.get(row);
    if (link === undefined) return;
    const counter = errno === 0 ? BackendCounter.ServerEof : BackendCounter.ServerErr;
    if (!link.isRelay) this.view.countBackend(link.end.backend, counter);
    this.#fail(link, errno);
  }

  /** A reply that counts as a failure has come; C++ has counted it. */
  onFailingReply(row: number): void {
    const link = this.#table.links.get(row);
    if (link !== undefined) this.#judge(link);
  }

  // --- connecting

  /** A link as the owner before left it. */
  #goOn(link: LinkRow): void {
    switch (link.state) {
      case LinkState.Resolving:
        return this.#connect(link);
      case LinkState.Handshake:
        if (link.repliesDue === 0) this.onUp(link.row); // nothing has been said yet
        return;
      case LinkState.Down: {
        const { pool, protocol } = link.end;
        const isAhead = pool !== null && pool.preconnect && protocol === 2 && !link.isLeaving;
        const isWanted = link.requests > 0 || isAhead;
        if (isWanted && link.retryUs <= this.#nowUs()) this.#connect(link);
        return;
      }
      default:
    }
  }

  #connect(link: LinkRow): void {
    if (link.isRelay) return this.#open(link);
    const { server } = link.end;
    if (server === null) return this.#giveUp(link, 'its address is not known any more');
    const { address } = server;
    if (address.kind === 'unix') return this.#connectTo(link, address.path, 0, true);
    const { host, port } = address;
    if (isIP(host) !== 0) return this.#connectTo(link, host, port, false);
    native.linkResolving(link.row);
    this.#expect(link);
    const number = (link.lookup = ++this.#lookups);
    lookup(host, (error, found) => {
      const isOurs = this.#running && this.#table.links.get(link.row) === link;
      if (!isOurs || link.lookup !== number || link.state !== LinkState.Resolving) return;
      if (error !== null) return this.#giveUp(link, `${host} cannot be resolved (${error.code})`);
      this.#connectTo(link, found, port, false);
    });
  }

  /** By way of its home lane, as soon as that one can be asked. */
  #open(link: LinkRow): void {
    const { home, backend } = link.end;
    if (this.homes.isReady(home, backend) && native.linkRelay(link.row) === 0)
      return this.#ready(link);
    if (link.state !== LinkState.Resolving) {
      native.linkResolving(link.row);
      link.expect(this.#nowUs() + OPEN_PATIENCE_MS * 1000);
      this.#alarm.noteDue(link);
    }
    this.#opening ??= setTimeout(() => this.#openWaiting(), OPEN_EVERY_MS);
  }

  #openWaiting(): void {
    this.#opening = null;
    for (const link of this.#links()) {
      if (link.isRelay && link.state === LinkState.Resolving) this.#open(link);
    }
  }

  #connectTo(link: LinkRow, address: string, port: number, isUnix: boolean): void {
    link.lookup = 0;
    link.wasUp = false;
    const result = native.linkConnect(link.row, address, port, isUnix);
    if (result >= 0) return this.#expect(link);
    this.view.countBackend(link.end.backend, BackendCounter.ServerErr);
    this.#fail(link, -result);
  }

  #expect(link: LinkRow, repliesDue = 0): void {
    const timeoutMs = link.end.pool?.connectTimeoutMs ?? 0;
    link.expect(this.#nowUs() + timeoutMs * 1000, repliesDue);
    this.#alarm.noteDue(link);
  }

  #ready(link: LinkRow): void {
    link.wasUp = true;
    link.expect(link.isLeaving ? this.#leaving.leaveByUs() : 0);
    link.clearReason();
    native.linkOpenGate(link.row);
    const { backend, server, pool } = link.end;
    if (link.isRelay || !this.#isDown.delete(backend) || server === null || pool === null) return;
    this.events.onChange(server, pool, true, 'connected');
  }

  // --- failing

  /** Time is up: to be up, or to wait before the next try. */
  #expire(link: LinkRow): void {
    if (link.state === LinkState.Down) return this.#connect(link);
    if (!link.isRelay) this.view.countBackend(link.end.backend, BackendCounter.ServerErr);
    this.#fail(link, ETIMEDOUT);
  }

  /** A connection was lost or could not be had. */
  #fail(link: LinkRow, errno: number): void {
    const reason = reasonOf(errno);
    if (!link.wasUp || link.end.server === null) return this.#giveUp(link, reason, errno);
    link.wasUp = false;
    // A server that accepts and closes at once is as good as one that does not accept.
    const hasAnswered = link.replies !== 0;
    this.#countFailure(link);
    native.linkLose(link.row, link.errorOf(reason), true);
    this.#noteDown(link, reason, errno);
    if (this.#isGone(link)) return;
    if (!hasAnswered) return this.#backOff(link);
    link.rest(0, 0);
    if (this.#running) this.#connect(link);
  }

  /** All that waits for this link is answered with an error. */
  #giveUp(link: LinkRow, reason: string, errno = -1): void {
    link.lookup = 0;
    link.wasUp = false;
    this.#countFailure(link);
    native.linkLose(link.row, link.errorOf(reason), false);
    this.#noteDown(link, reason, errno);
    if (!this.#isGone(link)) this.#backOff(link);
  }

  /** A link that leaves does not come back unless something waits for it. */
  #isGone(link: LinkRow): boolean {
    if (!link.isLeaving || link.requests > 0) return false;
    this.#table.free(link, link.reason);
    return true;
  }

  /** Nothing new can be queued on this link until the next connect. */
  #backOff(link: LinkRow): void {
    const delay = backOffMs(link.end.pool!, link.failures);
    link.rest(this.#nowUs() + delay * 1000, link.failures + 1);
    this.#alarm.noteDue(link);
  }

  #noteDown(link: LinkRow, reason: string, errno: number): void {
    link.noteReason(reason, errno);
    const { backend, server, pool } = link.end;
    if (server === null || pool === null || link.isRelay || this.#isDown.has(backend)) return;
    this.#isDown.add(backend);
    this.events.onChange(server, pool, false, reason);
  }

  /** What becomes of a relay says nothing of its server: the home lane counts that. */
  #countFailure(link: LinkRow): void {
    if (link.isRelay) return;
    this.view.countBackend(link.end.backend, BackendCounter.Failures);
    this.view.countBackend(link.end.backend, BackendCounter.FailuresTotal);
    this.#judge(link);
  }

  #judge(link: LinkRow): void {
    const { pool, backend } = link.end;
    const at = this.view.backendCounter + backend * BackendCounter.RowDoubles;
    const failures = this.view.doubles[at + BackendCounter.Failures]!;
    if (pool !== null && pool.autoEjectHosts && failures >= pool.serverFailureLimit)
      this.events.onFailing();
  }

  #links(): Iterable<LinkRow> {
    return this.#table.links.values();
  }

  /** Lane time as of the last turn, which has just ended when a timer runs. */
  #nowUs(): number {
    return this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
  }
}

/** Doubles from reconnect_min to reconnect_max; half of it is chance. */
function backOffMs(pool: PoolSettings, failures: number): number {
  const delay = Math.min(pool.reconnectMaxMs, pool.reconnectMinMs * 2 ** Math.min(failures, 20));
  return Math.ceil(delay * (0.5 + Math.random() / 2));
}
