/**
 * All links of a lane: when to connect, what to say first, when to give up. The bytes are C++'s
 * (native/link.cc); this is the policy.
 *
 *                       ┌────────────── back-off over ──────────────┐
 *   idle ──prepare──► connecting ──up──► handshake ──replies──► ready ──lost──► connecting (at once)
 *                       └──── failed, or connect_timeout ───► backing off: requests fail at once
 *
 * A lost connection answers what was on its way with an error, keeps what had not begun to leave,
 * and is tried again at once. A connect that fails answers everything, and the next one waits:
 * twice as long each time, with jitter, so that a hundred proxies do not return in step.
 */
import { lookup } from 'node:dns';
import { isIP } from 'node:net';
import { getSystemErrorMap } from 'node:util';
import type { PoolSettings, ServerSettings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { ReplyWriter } from '../protocol/reply.js';
import { LinkState } from '../shm/codes.js';
import { BackendCounter, LaneHead, Link, PoolCounter, Request } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';

const ETIMEDOUT = 110;
const EPROTO = 71;
const SWEEP_MIN_MS = 5;
const SWEEP_MAX_MS = 100;

const enum Phase {
  Idle,
  Connecting,
  Handshake,
  Ready,
  BackingOff,
}

/** What is known of one link beyond its row. */
interface LinkFacts {
  readonly row: number;
  readonly pool: PoolSettings;
  readonly poolRow: number;
  readonly server: ServerSettings;
  readonly backend: number;
  readonly protocol: 2 | 3;
  phase: Phase;
  repliesDue: number; // of the handshake
  failures: number; // connects in a row that failed
  lastReason: string; // why the last connect or connection failed
  attempt: number; // of connects, so that a late answer of a resolver is told from the one awaited
  timer: NodeJS.Timeout | null; // connect_timeout or back-off
}

export interface LinkEvents {
  /** A server came or went; once per change, not per attempt. */
  onChange(server: ServerSettings, pool: PoolSettings, up: boolean, reason: string): void;
  /** A server has failed server_failure_limit times in a row: the master should look. */
  onFailing(): void;
}

export class LinkSet {
  readonly #facts: (LinkFacts | undefined)[] = [];
  readonly #isDown = new Set<number>(); // backends that onChange has called down
  #sweeper: NodeJS.Timeout | null = null;
  #closing = false;

  constructor(
    private readonly view: LaneView,
    private readonly events: LinkEvents,
  ) {}

  /** Makes the links of one pool, from row `firstLink` on. Returns the row after the last. */
  add(pool: PoolSettings, poolRow: number, firstBackend: number, firstLink: number): number {
    let row = firstLink;
    pool.servers.forEach((server, place) => {
      for (const protocol of [2, 3] as const) {
        for (let i = 0; i < pool.serverConnections; i++) {
          const backend = firstBackend + place;
          native.linkDefine(row, poolRow, backend, protocol);
          this.#facts[row] = {
            row,
            pool,
            poolRow,
            server,
            backend,
            protocol,
            phase: Phase.Idle,
            repliesDue: 0,
            failures: 0,
            lastReason: '',
            attempt: 0,
            timer: null,
          };
          row++;
        }
      }
    });
    return row;
  }

  /** Connects what `preconnect` asks for and begins to watch the deadlines. */
  start(): void {
    for (const link of this.#facts) {
      if (link !== undefined && link.pool.preconnect && link.protocol === 2) this.#connect(link);
    }
    const timeouts = this.#facts.flatMap((link) =>
      link && link.pool.timeoutMs > 0 ? [link.pool.timeoutMs] : [],
    );
    if (timeouts.length === 0) return;
    const shortest = Math.min(...timeouts);
    const everyMs = Math.max(SWEEP_MIN_MS, Math.min(SWEEP_MAX_MS, Math.floor(shortest / 8)));
    this.#sweeper = setInterval(() => this.#sweep(), everyMs);
  }

  /** No new connects; the links end with the process. */
  stop(): void {
    this.#closing = true;
    if (this.#sweeper !== null) clearInterval(this.#sweeper);
    for (const link of this.#facts) if (link?.timer) clearTimeout(link.timer);
  }

  /**
   * Makes a link that is not up ready to be queued on. False: its server cannot be reached now, the
   * request is to be refused with `refusal`.
   */
  prepare(row: number): boolean {
    const link = this.#facts[row]!;
    if (link.phase === Phase.BackingOff) return false;
    if (link.phase === Phase.Idle) this.#connect(link);
    return (link.phase as Phase) !== Phase.BackingOff;
  }

  /** Why requests to this link are refused, as a RESP error. */
  refusal(row: number): Buffer {
    const link = this.#facts[row]!;
    return errorOf(link, link.lastReason);
  }

  onUp(row: number): void {
    const link = this.#facts[row]!;
    this.#clearTimer(link);
    link.phase = Phase.Handshake;
    const hello = handshakeOf(link);
    link.repliesDue = hello.length;
    if (hello.length === 0) return this.#ready(link);
    const result = native.linkHandshake(row, Buffer.concat(hello));
    if (result < 0) return this.#fail(link, -result, false);
    this.#armTimeout(link);
  }

  onReply(row: number, reply: Buffer): void {
    const link = this.#facts[row]!;
    if (link.phase !== Phase.Handshake) return;
    if (reply[0] === 0x2d /* - */) {
      const text = reply.subarray(1, reply.indexOf('\r')).toString('latin1');
      return this.#giveUp(link, `the handshake was refused: ${text}`);
    }
    if (--link.repliesDue === 0) this.#ready(link);
  }

  onLost(row: number, errno: number): void {
    const link = this.#facts[row]!;
    this.#clearTimer(link);
    const counter = errno === 0 ? BackendCounter.ServerEof : BackendCounter.ServerErr;
    this.view.countBackend(link.backend, counter);
    this.#fail(link, errno, link.phase === Phase.Ready);
  }

  #ready(link: LinkFacts): void {
    this.#clearTimer(link);
    link.phase = Phase.Ready;
    native.linkOpenGate(link.row);
    if (this.#isDown.delete(link.backend))
      this.events.onChange(link.server, link.pool, true, 'connected');
  }

  /** A connection was lost (`wasReady`) or could not be had. */
  #fail(link: LinkFacts, errno: number, wasReady: boolean): void {
    link.lastReason = reasonOf(errno);
    if (!wasReady) return this.#giveUp(link, reasonOf(errno));
    this.#countFailure(link);
    native.linkLose(link.row, errorOf(link, reasonOf(errno)), true);
    this.#noteDown(link, reasonOf(errno));
    if (!this.#hasAnswered(link)) return this.#backOff(link);
    link.failures = 0;
    link.phase = Phase.Idle;
    if (!this.#closing) this.#connect(link);
  }

  /**
   * Whether a request has been answered on this connection. A server that accepts and closes at once is as good
   * as one that does not accept.
   */
  #hasAnswered(link: LinkFacts): boolean {
    return this.view.words[this.view.link + link.row * Link.RowWords + Link.Replies] !== 0;
  }

  /** All that waits for this link is answered with an error. */
  #giveUp(link: LinkFacts, reason: string): void {
    link.lastReason = reason;
    this.#clearTimer(link);
    this.#countFailure(link);
    native.linkLose(link.row, errorOf(link, reason), false);
    this.#noteDown(link, reason);
    this.#backOff(link);
  }

  /** Nothing new can be queued on this link until the next connect. */
  #backOff(link: LinkFacts): void {
    link.phase = Phase.BackingOff;
    const delay = backOffMs(link.pool, link.failures++);
    if (this.#closing) return;
    link.timer = setTimeout(() => {
      link.timer = null;
      link.phase = Phase.Idle;
      this.#connect(link);
    }, delay);
  }

  #noteDown(link: LinkFacts, reason: string): void {
    if (this.#isDown.has(link.backend)) return;
    this.#isDown.add(link.backend);
    this.events.onChange(link.server, link.pool, false, reason);
  }

  #countFailure(link: LinkFacts): void {
    this.view.countBackend(link.backend, BackendCounter.Failures);
    this.view.countBackend(link.backend, BackendCounter.FailuresTotal);
    this.#judge(link);
  }

  /** A reply that counts as a failure has come; C++ has counted it. */
  onFailingReply(row: number): void {
    this.#judge(this.#facts[row]!);
  }

  #judge(link: LinkFacts): void {
    const at =
      this.view.backendCounter + link.backend * BackendCounter.RowDoubles + BackendCounter.Failures;
    if (link.pool.autoEjectHosts && this.view.doubles[at]! >= link.pool.serverFailureLimit)
      this.events.onFailing();
  }

  #connect(link: LinkFacts): void {
    link.phase = Phase.Connecting;
    const { address } = link.server;
    if (address.kind === 'unix') return this.#connectTo(link, address.path, 0, true);
    if (isIP(address.host) !== 0) return this.#connectTo(link, address.host, address.port, false);
    this.#armTimeout(link);
    const attempt = ++link.attempt;
    lookup(address.host, (error, found) => {
      if (link.phase !== Phase.Connecting || link.attempt !== attempt) return;
      if (error !== null)
        return this.#giveUp(link, `${address.host} cannot be resolved (${error.code})`);
      this.#connectTo(link, found, address.port, false);
    });
  }

  #connectTo(link: LinkFacts, address: string, port: number, isUnix: boolean): void {
    this.#armTimeout(link);
    const result = native.linkConnect(link.row, address, port, isUnix);
    if (result < 0) {
      this.view.countBackend(link.backend, BackendCounter.ServerErr);
      this.#fail(link, -result, false);
    }
  }

  #armTimeout(link: LinkFacts): void {
    this.#clearTimer(link);
    link.timer = setTimeout(() => {
      link.timer = null;
      this.view.countBackend(link.backend, BackendCounter.ServerErr);
      this.#fail(link, ETIMEDOUT, false);
    }, link.pool.connectTimeoutMs);
  }

  #clearTimer(link: LinkFacts): void {
    if (link.timer !== null) clearTimeout(link.timer);
    link.timer = null;
  }

  /** Answers requests whose time is up; a link that has been silent all that time is given up. */
  #sweep(): void {
    const now = this.#nowUs();
    for (const link of this.#facts) {
      if (link === undefined || link.pool.timeoutMs === 0) continue;
      const at = this.view.link + link.row * Link.RowWords;
      if (this.view.words[at + Link.Requests] === 0) continue;
      const olderThanUs = now - link.pool.timeoutMs * 1000;
      const isSilent = link.phase === Phase.Ready && this.#isSilent(at, olderThanUs);
      const count = native.linkTimeouts(link.row, olderThanUs, errorOf(link, 'timed out'));
      this.#countTimeouts(link, count);
      if (isSilent) this.#fail(link, ETIMEDOUT, true);
      else if (count > 0) this.#countFailure(link);
    }
  }

  /** Nothing has come for as long as the oldest request waits: not even a part of its reply. */
  #isSilent(at: number, olderThanUs: number): boolean {
    const oldest = this.view.request + this.view.words[at + Link.RequestHead]! * Request.RowWords;
    return (
      this.view.doubles[at / 2 + Link.ReceivedUs]! < olderThanUs &&
      this.view.doubles[oldest / 2 + Request.ArrivedUs]! < olderThanUs
    );
  }

  /** CLOCK_MONOTONIC as of the last turn, which has just ended when a timer runs. */
  #nowUs(): number {
    return this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
  }

  #countTimeouts(link: LinkFacts, count: number): void {
    const { doubles } = this.view;
    doubles[
      this.view.backendCounter +
        link.backend * BackendCounter.RowDoubles +
        BackendCounter.ServerTimedout
    ]! += count;
    doubles[
      this.view.poolCounter + link.poolRow * PoolCounter.RowDoubles + PoolCounter.ErrorTimeout
    ]! += count;
  }

  /** Whether a link's row says that requests may go out on it. */
  isUp(row: number): boolean {
    return this.view.words[this.view.link + row * Link.RowWords + Link.State] === LinkState.Up;
  }
}

/** What must be said before the first request: protocol, password, database. */
function handshakeOf(link: LinkFacts): Buffer[] {
  const { redisAuth, redisDb } = link.pool;
  const said: Buffer[] = [];
  if (link.protocol === 3) {
    const auth = redisAuth === null ? [] : ['AUTH', 'default', redisAuth];
    said.push(commandOf('HELLO', '3', ...auth));
  } else if (redisAuth !== null) {
    said.push(commandOf('AUTH', redisAuth));
  }
  if (redisDb > 0) said.push(commandOf('SELECT', String(redisDb)));
  return said;
}

function commandOf(...words: string[]): Buffer {
  const writer = new ReplyWriter(2).array(words.length);
  for (const word of words) writer.bulk(Buffer.from(word));
  return writer.finish();
}

function errorOf(link: LinkFacts, reason: string): Buffer {
  return Buffer.from(`-ERR server '${link.server.name}': ${reason}\r\n`, 'latin1');
}

function reasonOf(errno: number): string {
  if (errno === 0) return 'connection closed by the server';
  if (errno === EPROTO) return 'not a valid reply';
  return getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
}

/** Doubles from reconnect_min to reconnect_max; half of it is chance. */
function backOffMs(pool: PoolSettings, failures: number): number {
  const delay = Math.min(pool.reconnectMaxMs, pool.reconnectMinMs * 2 ** Math.min(failures, 20));
  return Math.ceil(delay * (0.5 + Math.random() / 2));
}
