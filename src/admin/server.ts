/**
 * The master's two ports for operators: twemproxy's statistics and Prometheus' metrics, opened,
 * moved and closed as the settings say.
 *
 * Both run in the master and only read shared memory, so a scrape costs the workers nothing.
 */
import type { Server, Socket } from 'node:net';
import { OperatorError } from '../base/errors.js';
import type { Settings, TcpAddress } from '../config/settings.js';
import { getSystemErrorMessage } from '../config/system-error.js';
import type { CounterSource } from '../tables/counters.js';
import { createMetricsServer } from './metrics-server.js';
import { prometheusText } from './prometheus.js';
import { takeSnapshot, type InstanceFacts, type Snapshot } from './snapshot.js';
import { statsJson } from './stats-json.js';
import { createStatsServer } from './stats-server.js';

export interface AdminOptions {
  readonly settings: Settings;
  readonly counters: CounterSource;
  readonly facts: InstanceFacts;
  readonly log: AdminLog;
}

/** The part of pino's Logger that is used here. */
export interface AdminLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

export interface Admin {
  /** Ports as they really are (a port 0 is resolved), null when switched off. */
  readonly ports: { readonly stats: number | null; readonly metrics: number | null };
  /**
   * Follows a reload. Rejects with an OperatorError when an address cannot be had; then the port
   * stays where it was.
   */
  update(settings: Settings): Promise<void>;
  /** Stops listening and cuts off whoever is still connected. */
  close(): Promise<void>;
}

type PortName = 'stats' | 'metrics';

/** Rejects with an OperatorError, one line per address that cannot be had; then nothing is open. */
export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const { counters, facts, log } = options;
  const show = (render: (snapshot: Snapshot) => string): string | null => {
    try {
      return render(takeSnapshot(counters, facts));
    } catch (error) { // our bug, but not one to stop a master for
      log.error({ event: 'admin_failed', err: error }, `statistics: ${String(error)}`);
      return null;
    }
  };
  const stats = new Port('stats', () => createStatsServer(() => show(statsJson)), log);
  const metrics = new Port('metrics', () => createMetricsServer(() => show(prometheusText)), log);
  const update = async (settings: Settings): Promise<void> => {
    const moves = await Promise.allSettled([stats.follow(settings), metrics.follow(settings)]);
    const lines = moves.flatMap((move) =>
      (move.status === 'rejected' ? [(move.reason as Error).message] : []));
    if (lines.length > 0) throw new OperatorError('port-busy', lines);
  };
  const close = async (): Promise<void> => {
    await Promise.all([stats.close(), metrics.close()]);
  };
  try {
    await update(options.settings);
  } catch (error) {
    await close();
    throw error;
  }
  return { get ports() { return { stats: stats.port, metrics: metrics.port }; }, update, close };
}

/** A server that listens, and who is connected to it. */
interface Listening {
  readonly server: Server;
  readonly sockets: ReadonlySet<Socket>;
  readonly at: TcpAddress;
}

class Port {
  private listening: Listening | null = null;

  constructor(
    private readonly name: PortName,
    private readonly create: () => Server,
    private readonly log: AdminLog,
  ) {}

  get port(): number | null {
    const address = this.listening?.server.address() ?? null;
    return address === null || typeof address === 'string' ? null : address.port;
  }

  /** Opens the new address before it lets go of the old one. */
  async follow(settings: Settings): Promise<void> {
    const wanted = settings.global[this.name];
    const at = this.listening?.at;
    if (wanted?.host === at?.host && wanted?.port === at?.port) return;
    const next = wanted === null ? null : await this.open(wanted, settings);
    await this.close();
    this.listening = next;
  }

  async close(): Promise<void> {
    const { listening } = this;
    this.listening = null;
    if (listening === null) return;
    const closed = new Promise<void>((resolve) => listening.server.close(() => resolve()));
    for (const socket of listening.sockets) socket.destroy();
    await closed;
  }

  private async open(at: TcpAddress, { file, global }: Settings): Promise<Listening> {
    const server = this.create();
    const sockets = new Set<Socket>();
    server.on('connection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
    try {
      await listen(server, at);
    } catch (error) {
      const line = global.lines[this.name];
      const where = line === undefined ? file : `${file}:${line}`;
      const reason = getSystemErrorMessage(error);
      throw new Error(`${where}: ${this.name}: cannot listen on ${at.text}: ${reason}`);
    }
    server.on('error', (error) => {
      const reason = getSystemErrorMessage(error);
      this.log.error({ event: 'admin_error', port: this.name, reason }, `${this.name}: ${reason}`);
    });
    this.log.info({ event: 'admin_listening', port: this.name, address: at.text },
      `${this.name} on ${at.text}`);
    return { server, sockets, at };
  }
}

function listen(server: Server, { host, port }: TcpAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.removeListener('error', reject);
      resolve();
    });
  });
}
