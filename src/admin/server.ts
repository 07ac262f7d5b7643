/**
 * The master's two ports for operators: twemproxy's statistics and Prometheus' metrics.
 *
 * Both run in the master and only read shared memory, so a scrape costs the workers nothing. The
 * sockets pass from master to master; only the one in charge answers, clients of the others wait:
 *
 *   opened or inherited ──► paused ◄──pause / resume──► answering ──close──► closed
 *
 * Node closes the socket that it listens on, so it gets a duplicate each time.
 */
import type { Server, Socket } from 'node:net';
import { OperatorError, systemReason } from '../base/errors.js';
import type { Settings, TcpAddress } from '../config/settings.js';
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
  readonly sockets: SocketKeeper;
  readonly inherited?: readonly AdminHandover[]; // of the master before; what is not used is closed
  readonly isPaused?: boolean; // resume() comes later
}

/** Opens, duplicates and closes sockets. All throw errors with `code`. */
export interface SocketKeeper {
  open(at: TcpAddress): number; // listens
  copy(fd: number): number;
  close(fd: number): void;
}

/** The part of pino's Logger that is used here. */
export interface AdminLog {
  info(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** A socket for another master, as JSON; the descriptor by his number. */
export interface AdminHandover {
  readonly port: PortName;
  readonly at: TcpAddress;
  readonly fd: number;
}

type PortName = 'stats' | 'metrics';

/** Throws OperatorError, one line per address that cannot be had; then nothing is open. */
export function startAdmin(options: AdminOptions): Admin {
  const admin = new Admin(options);
  if (options.isPaused !== true) admin.resume();
  return admin;
}

/** Made by startAdmin(). */
export class Admin {
  readonly #ports: Port[] = [];

  constructor(options: AdminOptions) {
    const { counters, facts, log, settings } = options;
    const show = (render: (snapshot: Snapshot) => string): string | null => {
      try {
        return render(takeSnapshot(counters, facts));
      } catch (error) { // our bug, but not one to stop a master for
        log.error({ event: 'admin_failed', err: error }, `statistics: ${String(error)}`);
        return null;
      }
    };
    const servers: readonly [PortName, () => Server][] = [
      ['stats', () => createStatsServer(() => show(statsJson))],
      ['metrics', () => createMetricsServer(() => show(prometheusText))],
    ];
    const mistakes: string[] = [];
    for (const [name, create] of servers) {
      try {
        const socket = socketOf(name, options);
        if (socket !== null) this.#ports.push(new Port(socket, create, options));
      } catch (error) {
        mistakes.push(mistakeOf(name, settings, error));
      }
    }
    if (mistakes.length > 0) {
      this.close();
      throw new OperatorError('port-busy', mistakes);
    }
    const used = new Set(this.describe().map(({ fd }) => fd));
    for (const { fd } of options.inherited ?? []) if (!used.has(fd)) options.sockets.close(fd);
  }

  /** Port numbers as they really are (a port 0 is resolved); none while paused. */
  get ports(): { readonly stats: number | null; readonly metrics: number | null } {
    const numberOf = (name: PortName): number | null =>
      this.#ports.find((port) => port.name === name)?.number ?? null;
    return { stats: numberOf('stats'), metrics: numberOf('metrics') };
  }

  describe(): AdminHandover[] {
    return this.#ports.map(({ socket }) => socket);
  }

  /** Answers from now on, those who have waited first. */
  resume(): void {
    for (const port of this.#ports) port.resume();
  }

  /** Cuts off whoever is connected; the others wait for another master, or for this one again. */
  pause(): void {
    for (const port of this.#ports) port.pause();
  }

  /** Closes this process's sockets: the end, unless another master has inherited them. */
  close(): void {
    for (const port of this.#ports.splice(0)) port.close();
  }
}

function socketOf(
  port: PortName, { settings, sockets, inherited = [], log }: AdminOptions,
): AdminHandover | null {
  const at = settings.global[port];
  if (at === null) return null;
  const known = inherited.find((each) =>
    each.port === port && each.at.host === at.host && each.at.port === at.port);
  if (known !== undefined) return known;
  const socket = { port, at, fd: sockets.open(at) };
  log.info({ event: 'admin_listening', port, address: at.text }, `${port} on ${at.text}`);
  return socket;
}

function mistakeOf(port: PortName, { file, global }: Settings, error: unknown): string {
  const line = global.lines[port];
  const where = line === undefined ? file : `${file}:${line}`;
  const { text } = global[port]!;
  return `${where}: ${port}: cannot listen on ${text}: ${systemReason(error)}`;
}

/** A server while it answers, and who is connected to it. */
interface Answering {
  readonly server: Server;
  readonly connections: ReadonlySet<Socket>;
}

class Port {
  #answering: Answering | null = null;

  constructor(
    readonly socket: AdminHandover,
    private readonly create: () => Server,
    private readonly options: AdminOptions,
  ) {}

  get name(): PortName {
    return this.socket.port;
  }

  get number(): number | null {
    const address = this.#answering?.server.address() ?? null;
    return address === null || typeof address === 'string' ? null : address.port;
  }

  resume(): void {
    if (this.#answering !== null) return;
    const { log, sockets } = this.options;
    const server = this.create();
    const connections = new Set<Socket>();
    server.on('connection', (socket) => {
      connections.add(socket);
      socket.once('close', () => connections.delete(socket));
    });
    server.on('error', (error) => {
      const reason = systemReason(error);
      log.error({ event: 'admin_error', port: this.name, reason }, `${this.name}: ${reason}`);
    });
    server.listen({ fd: sockets.copy(this.socket.fd) });
    this.#answering = { server, connections };
  }

  pause(): void {
    const answering = this.#answering;
    this.#answering = null;
    if (answering === null) return;
    answering.server.close();
    for (const socket of answering.connections) socket.destroy();
  }

  close(): void {
    this.pause();
    this.options.sockets.close(this.socket.fd);
  }
}
