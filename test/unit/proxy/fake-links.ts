/**
 * A lane's link rows without a lane: the calls that steer links write rows of a scratch lane, as
 * native/link.cc would, and are noted. Time is what the test says it is.
 */
import { parseSettings } from '../../../src/config/load.js';
import type { Roster, RosterPool } from '../../../src/config/roster.js';
import type { PoolSettings } from '../../../src/config/settings.js';
import { native, type LaneCalls } from '../../../src/native/binding.js';
import { LinkSet } from '../../../src/proxy/link-set.js';
import type { RelayHomes } from '../../../src/proxy/relay-homes.js';
import { LinkFlag, LinkState } from '../../../src/shm/codes.js';
import { LaneHead, Link, Request, Session } from '../../../src/tables/columns.gen.js';
import { ScratchLane } from '../../../src/worker/scratch-lane.js';

const FD = 4000; // any

export class FakeLinks {
  readonly lane = new ScratchLane();
  readonly view = this.lane.view;
  readonly calls: string[] = [];
  readonly changes: string[] = [];
  connectResult = 0;
  #requests = 0;

  /** From here on `native` steers this lane's links. */
  constructor() {
    Object.assign(native, this.#fakes());
    this.at(1e6);
  }

  /** A new owner of the lane, with another roster perhaps. */
  owner(roster: Roster, homes?: RelayHomes): LinkSet {
    return new LinkSet(this.view, roster, {
      onChange: (server, _, up, reason) =>
        this.changes.push(`${server.name} ${up ? 'up' : 'down'}: ${reason}`),
      onFailing: () => this.changes.push('failing'),
    }, homes);
  }

  at(nowUs: number): void {
    this.view.doubles[this.view.head / 2 + LaneHead.NowUs] = nowUs;
  }

  get nowUs(): number {
    return this.view.doubles[this.view.head / 2 + LaneHead.NowUs]!;
  }

  word(row: number, column: Link): number {
    return this.view.words[this.view.link + row * Link.RowWords + column]!;
  }

  set(row: number, column: Link, value: number): void {
    this.view.words[this.view.link + row * Link.RowWords + column] = value;
  }

  double(row: number, column: Link): number {
    return this.view.doubles[this.view.link / 2 + row * Link.RowDoubles + column]!;
  }

  isLeaving(row: number): boolean {
    return (this.word(row, Link.Flags) & LinkFlag.Leaving) !== 0;
  }

  /** Rows in use, as 'backend/protocol/place'. */
  rows(): Map<string, number> {
    const found = new Map<string, number>();
    for (let row = 1; row < this.view.linkRows; row++) {
      if (this.word(row, Link.State) === LinkState.Free) continue;
      const [backend, protocol, place] = [Link.Backend, Link.Protocol, Link.Place].map((column) =>
        this.word(row, column));
      found.set(`${backend}/${protocol}/${place}`, row);
    }
    return found;
  }

  /** The connect has succeeded. */
  connected(links: LinkSet, row: number): void {
    this.set(row, Link.State, LinkState.Handshake);
    links.onUp(row);
  }

  /** The connection is gone: C++ says so in the row, and tells it later in the turn. */
  broken(row: number): void {
    this.set(row, Link.State, LinkState.Down);
    this.set(row, Link.Fd, FD);
  }

  lost(links: LinkSet, row: number, errno: number): void {
    this.broken(row);
    links.onLost(row, errno);
  }

  /** A request of a session waits for a reply of this link; it is the link's youngest. */
  ask(row: number, session: number): void {
    const request = ++this.#requests;
    const at = this.view.request + request * Request.RowWords;
    this.view.words[at + Request.Session] = session;
    const count = this.word(row, Link.Requests);
    const tail = this.view.request + this.word(row, Link.RequestTail) * Request.RowWords;
    if (count === 0) this.set(row, Link.RequestHead, request);
    else this.view.words[tail + Request.LinkNext] = request;
    this.set(row, Link.RequestTail, request);
    this.set(row, Link.Requests, count + 1);
    this.session(session, this.requestsOf(session) + 1);
  }

  /** All replies of a link have come. */
  answer(row: number): void {
    let request = this.word(row, Link.RequestHead);
    for (let left = this.word(row, Link.Requests); left > 0; left--) {
      const at = this.view.request + request * Request.RowWords;
      const session = this.view.words[at + Request.Session]!;
      this.session(session, this.requestsOf(session) - 1);
      request = this.view.words[at + Request.LinkNext]!;
    }
    this.set(row, Link.Requests, 0);
  }

  requestsOf(session: number): number {
    return this.view.words[this.view.session + session * Session.RowWords + Session.Requests]!;
  }

  session(session: number, requests: number): void {
    this.view.words[this.view.session + session * Session.RowWords + Session.Requests] = requests;
  }

  /** Calls since the last look. */
  take(): string[] {
    return this.calls.splice(0);
  }

  #fakes(): Partial<LaneCalls> {
    const note = (name: string, ...args: (string | number | boolean)[]): void => {
      this.calls.push([name, ...args].join(' '));
    };
    const setDouble = (row: number, column: Link, value: number): void => {
      this.view.doubles[this.view.link / 2 + row * Link.RowDoubles + column] = value;
    };
    return {
      linkDefine: (row, pool, backend, protocol, place, home) => {
        note('define', row, `${backend}/${protocol}/${place}`);
        this.lane.putLink(row, {
          pool, backend, protocol: protocol as 2 | 3, place, state: LinkState.Down,
        });
        for (const column of [Link.Flags, Link.Failures, Link.Reason, Link.ReasonBytes])
          this.set(row, column, 0);
        this.set(row, Link.Home, home);
        setDouble(row, Link.RetryUs, 0);
        setDouble(row, Link.DeadlineUs, 0);
      },
      linkFree: (row) => {
        note('free', row);
        this.set(row, Link.State, LinkState.Free);
      },
      linkLeave: (row, leaving) => {
        note('leave', row, leaving);
        this.set(row, Link.Flags, leaving ? LinkFlag.Leaving : 0);
      },
      linkPlan: (row, deadlineUs, retryUs, failures, repliesDue) => {
        setDouble(row, Link.DeadlineUs, deadlineUs);
        setDouble(row, Link.RetryUs, retryUs);
        this.set(row, Link.Failures, failures);
        this.set(row, Link.RepliesDue, repliesDue);
      },
      linkReason: (row, reason, text) => {
        const bytes = Buffer.from(text).subarray(0, 64);
        this.set(row, Link.Reason, reason);
        this.set(row, Link.ReasonBytes, bytes.length);
        const at = (this.view.link + row * Link.RowWords) * 4 + Link.ReasonText;
        this.view.bytes.set(bytes, at);
      },
      linkResolving: (row) => {
        note('resolving', row);
        this.set(row, Link.State, LinkState.Resolving);
      },
      linkConnect: (row, address, port, unix) => {
        note('connect', row, address, port, unix);
        if (this.connectResult === 0) {
          this.set(row, Link.State, LinkState.Connecting);
          this.set(row, Link.Fd, FD);
        }
        this.set(row, Link.Replies, 0);
        return this.connectResult;
      },
      linkRelay: (row) => {
        note('relay', row);
        this.set(row, Link.State, LinkState.Handshake);
        return 0;
      },
      linkHandshake: (row, bytes) => {
        note('handshake', row, Buffer.from(bytes).toString('latin1').replace(/\r\n/g, ' ').trim());
        return 0;
      },
      linkOpenGate: (row) => {
        note('open', row);
        this.set(row, Link.State, LinkState.Up);
      },
      linkLose: (row, error, resend) => {
        note('lose', row, Buffer.from(error).toString('latin1').trim(), resend);
        this.set(row, Link.State, LinkState.Down);
        this.set(row, Link.Fd, -1);
        if (!resend) this.answer(row);
        return 0;
      },
      linkTimeouts: () => 0,
    };
  }
}

export interface PoolShape {
  readonly id: number;
  readonly servers: readonly string[]; // 'name' or 'name=host:port'; unix sockets if no host
  readonly ids: readonly number[]; // of their backends
  readonly directives?: readonly string[];
  readonly isRetired?: boolean;
  /** Backends that are no longer configured: name and id. */
  readonly former?: readonly (readonly [string, number])[];
}

/** What the master would write for these pools. */
export function rosterOf(shapes: readonly PoolShape[], ...global: string[]): Roster {
  const lines = ['global:', '  worker_processes: 1'];
  lines.push(...global.map((line) => `  ${line}`), 'pools:');
  for (const { id, servers, directives = [] } of shapes) {
    lines.push(`  p${id}:`, `    listen: 127.0.0.1:${7000 + id}`, '    redis: true');
    lines.push(...directives.map((line) => `    ${line}`), '    servers:');
    for (const server of servers) {
      const [name, address] = server.split('=');
      lines.push(`      - ${address ?? `/run/${name}.sock`}:1 ${name}`);
    }
  }
  const { settings } = parseSettings(lines.join('\n'), 'test.yml');
  const pools = shapes.map((shape, at): RosterPool => rosterPool(shape, settings.pools[at]!));
  return { generation: 1, settings, pools, listeners: [] };
}

function rosterPool(shape: PoolShape, settings: PoolSettings): RosterPool {
  const { redisAuth, redisDb } = settings;
  const current = settings.servers.map((server, at) =>
    ({ id: shape.ids[at]!, server, redisAuth, redisDb, isRetired: false }));
  const former = (shape.former ?? []).map(([name, id]) => {
    const path = `/run/${name}.sock`;
    const address = { kind: 'unix', path, text: path } as const;
    return {
      id, server: { name, address, weight: 1, line: 0 }, redisAuth, redisDb, isRetired: true,
    };
  });
  return { id: shape.id, settings, isRetired: shape.isRetired ?? false,
    backends: [...current, ...former] };
}
