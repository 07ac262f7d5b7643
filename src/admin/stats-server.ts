/**
 * twemproxy's statistics port: whoever connects is sent one line and the end of the stream.
 *
 * What the client sends is thrown away. A client that does not read, or never closes, is cut off
 * after a while; only so many are served at a time.
 */
import { createServer, type Server, type Socket } from 'node:net';

export interface StatsServerLimits {
  readonly patienceMs: number; // for one connection, from accept to close
  readonly connections: number; // at a time; more are closed at once
}

const LIMITS: StatsServerLimits = { patienceMs: 10_000, connections: 64 };

/** Not listening yet. `line`: called for each connection; null closes it without an answer. */
export function createStatsServer(line: () => string | null, limits = LIMITS): Server {
  const server = createServer((socket) => serve(socket, line, limits.patienceMs));
  server.maxConnections = limits.connections;
  return server;
}

function serve(socket: Socket, line: () => string | null, patienceMs: number): void {
  const patience = setTimeout(() => socket.destroy(), patienceMs).unref();
  socket.on('close', () => clearTimeout(patience));
  socket.on('error', () => socket.destroy()); // reset by the client: nobody's business
  socket.resume();
  const text = line();
  if (text === null) socket.destroy();
  else socket.end(text);
}
