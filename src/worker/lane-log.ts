/** Words what happens in a lane as log lines, and keeps floods out of the log. */
import { getSystemErrorName } from 'node:util';
import type { Logger } from '../base/log.js';
import type { PoolSettings, ServerSettings } from '../config/settings.js';
import { FindingKind, type Finding } from '../native/binding.js';
import type { LaneEvents } from '../proxy/lane-events.js';
import type { SessionDesk } from '../proxy/session-desk.js';
import { CloseReason } from '../shm/codes.js';

const REASONS: Partial<Record<CloseReason, string>> = {
  [CloseReason.ClientError]: 'its connection broke',
  [CloseReason.Protocol]: 'it sent what is no RESP',
  [CloseReason.OutputLimit]: 'it did not read its replies: client_output_limit is reached',
  [CloseReason.RequestTooLarge]: 'its request is too large',
  [CloseReason.ReplyCut]: 'its server was lost in the middle of a reply that had begun to flow',
  [CloseReason.NoMemory]: 'there is no memory left for it: shm_max is reached',
};
const WINDOW_MS = 1000;
const LINES_PER_WINDOW = 10;

/** At most ten lines of an event a second; the next one that passes says how many were left out. */
class Throttle {
  #windowStart = 0;
  #lines = 0;
  #suppressed = 0;

  /** undefined: leave the line out; else how many were left out before it. */
  pass(): number | undefined {
    const now = performance.now();
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now;
      this.#lines = 0;
    }
    if (++this.#lines > LINES_PER_WINDOW) {
      this.#suppressed++;
      return undefined;
    }
    const suppressed = this.#suppressed;
    this.#suppressed = 0;
    return suppressed;
  }
}

export class LaneLog implements LaneEvents {
  readonly #closed = new Throttle();
  readonly #broken = new Throttle();
  readonly #accept = new Throttle();
  readonly #refused = new Throttle();
  readonly #damaged = new Throttle();

  constructor(
    private readonly log: Logger,
    private readonly desk: SessionDesk,
    private readonly poolOf: (id: number) => PoolSettings | undefined,
  ) {}

  onSessionClosed(row: number, reason: number, pool: number, queuedBytes: number): void {
    if (reason === CloseReason.ClientError) return; // every kill -9 of a client; counted as client_err
    const suppressed = this.#closed.pass();
    if (suppressed === undefined) return;
    const client = this.desk.peerOf(row);
    const why = REASONS[reason as CloseReason] ?? 'closed';
    this.log.warn(
      {
        event: 'client_closed',
        pool: this.poolOf(pool)?.name,
        client,
        reason,
        queuedBytes,
        ...left(suppressed),
      },
      `client ${client} is closed: ${why}`,
    );
  }

  onBrokenRequest(row: number, pool: number, why: string): void {
    const suppressed = this.#broken.pass();
    if (suppressed === undefined) return;
    const client = this.desk.peerOf(row);
    this.log.warn(
      { event: 'request_refused', pool: this.poolOf(pool)?.name, client, ...left(suppressed) },
      `client ${client} is closed: ${why}`,
    );
  }

  onPoisonedRequest(row: number, pool: number, head: string): void {
    const client = this.desk.peerOf(row);
    this.log.error({ event: 'request_poisoned', pool: this.poolOf(pool)?.name, client, head },
      `a request of client ${client} is answered with an error: workers died of it; it is ${head}`);
  }

  /** What an owner before has left damaged. */
  onFindings(findings: readonly Finding[]): void {
    for (const { kind, row, what } of findings) this.#onFinding(kind, row, what);
  }

  #onFinding(kind: FindingKind, row: number, what: string): void {
    if (kind === FindingKind.Lane) {
      this.log.error({ event: 'lane_cold_start', why: what },
        `the lane begins anew, all its clients are closed: ${what}`);
      return;
    }
    const suppressed = this.#damaged.pass();
    if (suppressed === undefined) return;
    if (kind === FindingKind.Poisoned) {
      this.log.error({ event: 'link_poisoned', link: row, ...left(suppressed) },
        `the connection to a server is given up: ${what}`);
    } else if (kind === FindingKind.Session) {
      const client = this.desk.peerOf(row);
      this.log.error({ event: 'row_damaged', session: row, client, what, ...left(suppressed) },
        `client ${client} is closed: its row is damaged: ${what}`);
    } else if (kind === FindingKind.Ring) {
      this.log.error({ event: 'row_damaged', lane: row, what, ...left(suppressed) },
        `what was under way to and from lane ${row} is given up: its row is damaged: ${what}`);
    } else {
      this.log.error({ event: 'row_damaged', link: row, what, ...left(suppressed) },
        `the connection to a server is given up: its row is damaged: ${what}`);
    }
  }

  onAcceptFailed(errno: number): void {
    const suppressed = this.#accept.pass();
    if (suppressed === undefined) return;
    const code = getSystemErrorName(-errno);
    this.log.error(
      { event: 'accept_failed', code, ...left(suppressed) },
      `clients are refused: no descriptor is left (${code}); raise max_openfiles or the limit of the process`,
    );
  }

  onClientRefused(pool: number, errno: number): void {
    const suppressed = this.#refused.pass();
    if (suppressed === undefined) return;
    const settings = this.poolOf(pool);
    if (settings === undefined) return;
    const { name, clientConnections } = settings;
    const why =
      errno !== 0
        ? `no descriptor is left (${getSystemErrorName(-errno)})`
        : clientConnections > 0
          ? `client_connections is ${clientConnections}`
          : 'every session row is taken; raise max_openfiles';
    this.log.warn(
      { event: 'client_refused', pool: name, ...left(suppressed) },
      `pool '${name}': a client is refused: ${why}`,
    );
  }

  onServerChange(server: ServerSettings, pool: PoolSettings, up: boolean, reason: string): void {
    const facts = { event: up ? 'server_up' : 'server_down', pool: pool.name, server: server.name };
    if (up) this.log.info(facts, `server '${server.name}' of pool '${pool.name}' is back`);
    else this.log.warn(facts, `server '${server.name}' of pool '${pool.name}' is lost: ${reason}`);
  }
}

function left(suppressed: number): { suppressed?: number } {
  return suppressed > 0 ? { suppressed } : {};
}
