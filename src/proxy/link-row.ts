/**
 * A link's row as policy sees it, and what is known of the link beyond its row: whom it leads to,
 * which the roster says. Everything that the next owner of the lane needs is in the row, and is
 * written there by calls; what is kept here besides is a cache.
 *
 *   deadline_us   not up yet: by when it must be; up and leaving: by when it must be gone
 *   retry_us      down: the next connect; until then requests are refused
 *   reason        why it was lost last; 0 again as soon as it is up
 */
import { getSystemErrorMap } from 'node:util';
import type { PoolSettings, ServerSettings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { ReplyWriter } from '../protocol/reply.js';
import { LinkFlag, LinkState } from '../shm/codes.js';
import { Link } from '../tables/columns.gen.js';
import type { LaneView } from '../tables/lane-view.js';
import { OWN } from './relay-homes.js';

const EPROTO = 71;
/** link.reason: the text tells. */
const BY_TEXT = -1;
const CLOSED = 'connection closed by the server';

/** Whom a link leads to: one of server_connections to a backend, for RESP2 or for RESP3. */
export interface LinkEnd {
  readonly pool: PoolSettings | null; // null: this roster does not know it, nor the server
  readonly poolId: number;
  readonly backend: number; // id
  readonly index: number; // of the server in the pool, as routes count; -1: no route leads there
  readonly server: ServerSettings | null;
  readonly redisAuth: string | null;
  readonly redisDb: number;
  readonly protocol: 2 | 3;
  readonly place: number;
  readonly home: number; // of a relay: the lane that has the connection; else OWN
}

export class LinkRow {
  /** This connection has been up; C++ sets the state to Down before it tells that it is lost. */
  wasUp: boolean;
  /** The lookup whose answer is awaited, 0 = none. */
  lookup = 0;
  #reason: string;
  readonly #at: number;

  constructor(
    private readonly view: LaneView,
    readonly row: number,
    readonly end: LinkEnd,
    isUp: boolean,
  ) {
    this.#at = view.link + row * Link.RowWords;
    this.wasUp = isUp;
    this.#reason = this.#readReason();
  }

  get state(): LinkState {
    return this.view.words[this.#at + Link.State]!;
  }

  /** C++ has found the connection lost; onLost() comes later in the same turn. */
  get isLossUntold(): boolean {
    const { words } = this.view;
    const isUntold = (words[this.#at + Link.Flags]! & LinkFlag.Untold) !== 0;
    return this.state === LinkState.Down && (isUntold || words[this.#at + Link.Fd]! >= 0);
  }

  /** Its connection is another lane's. */
  get isRelay(): boolean {
    return this.end.home !== OWN;
  }

  /** Requests whose reply is owed. */
  get requests(): number {
    return this.view.words[this.#at + Link.Requests]!;
  }

  /** Replies to requests on this connection. */
  get replies(): number {
    return this.view.words[this.#at + Link.Replies]!;
  }

  get oldestRequest(): number {
    return this.view.words[this.#at + Link.RequestHead]!;
  }

  get isLeaving(): boolean {
    return (this.view.words[this.#at + Link.Flags]! & LinkFlag.Leaving) !== 0;
  }

  get failures(): number {
    return this.view.words[this.#at + Link.Failures]!;
  }

  get repliesDue(): number {
    return this.view.words[this.#at + Link.RepliesDue]!;
  }

  /** `timeout` of its pool; 0 = none. */
  get timeoutMs(): number {
    return this.end.pool?.timeoutMs ?? 0;
  }

  /** Lane time, µs. */
  get deadlineUs(): number {
    return this.view.doubles[this.#at / 2 + Link.DeadlineUs]!;
  }

  get retryUs(): number {
    return this.view.doubles[this.#at / 2 + Link.RetryUs]!;
  }

  get receivedUs(): number {
    return this.view.doubles[this.#at / 2 + Link.ReceivedUs]!;
  }

  /** Why it was lost last and is not up since; '' = it was not. */
  get reason(): string {
    return this.#reason;
  }

  /** Something is to happen until `deadlineUs` (lane time); 0 = nothing is awaited. */
  expect(deadlineUs: number, repliesDue = 0): void {
    native.linkPlan(this.row, deadlineUs, 0, this.failures, repliesDue);
  }

  /** Not before `retryUs` again; 0 = whenever somebody needs it. */
  rest(retryUs: number, failures: number): void {
    native.linkPlan(this.row, 0, retryUs, failures, 0);
  }

  /** errno -1: only `text` tells. It is cut in the row, not for this owner. */
  noteReason(text: string, errno = BY_TEXT): void {
    this.#reason = text;
    native.linkReason(this.row, errno > 0 ? errno : BY_TEXT, errno > 0 ? '' : text);
  }

  clearReason(): void {
    if (this.#reason === '') return;
    this.#reason = '';
    native.linkReason(this.row, 0, '');
  }

  /** As a RESP error that names the server. */
  errorOf(reason: string): Buffer {
    const { server } = this.end;
    const whom = server === null ? 'that is no longer configured' : `'${server.name}'`;
    return Buffer.from(`-ERR server ${whom}: ${reason}\r\n`, 'latin1');
  }

  /** What must be said before the first request: protocol, password, database. */
  handshake(): Buffer[] {
    const { redisAuth, redisDb, protocol } = this.end;
    const said: Buffer[] = [];
    if (protocol === 3) {
      const auth = redisAuth === null ? [] : ['AUTH', 'default', redisAuth];
      said.push(commandOf('HELLO', '3', ...auth));
    } else if (redisAuth !== null) {
      said.push(commandOf('AUTH', redisAuth));
    }
    if (redisDb > 0) said.push(commandOf('SELECT', String(redisDb)));
    return said;
  }

  #readReason(): string {
    const { words, bytes } = this.view;
    const code = words[this.#at + Link.Reason]!;
    if (code > 0) return reasonOf(code);
    const begin = (this.view.link + this.row * Link.RowWords) * 4 + Link.ReasonText;
    return bytes.toString('utf8', begin, begin + words[this.#at + Link.ReasonBytes]!);
  }
}

/** Why a connection was lost, in words; errno 0 = its end was read. */
export function reasonOf(errno: number): string {
  if (errno === 0) return CLOSED;
  if (errno === EPROTO) return 'not a valid reply';
  return getSystemErrorMap().get(-errno)?.[1] ?? `error ${errno}`;
}

function commandOf(...words: string[]): Buffer {
  const writer = new ReplyWriter(2).array(words.length);
  for (const word of words) writer.bulk(Buffer.from(word));
  return writer.finish();
}
