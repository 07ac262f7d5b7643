/**
 * The HTTP port: GET /metrics for Prometheus, GET / for a person who wonders what answers here.
 * Clients that send or read too slowly are cut off; only so many are served at a time.
 */
import {
  createServer, type IncomingMessage, type Server, type ServerResponse,
} from 'node:http';
import { CONTENT_TYPE } from './prometheus.js';

export interface MetricsServerLimits {
  readonly patienceMs: number; // for a request to arrive, for a connection without progress
  readonly connections: number; // at a time; more are closed at once
}

const LIMITS: MetricsServerLimits = { patienceMs: 10_000, connections: 64 };
const PLAIN = 'text/plain; charset=utf-8';
const ABOUT = 'Baton, a Redis proxy. Metrics for Prometheus: /metrics\n';

/** Not listening yet. `text`: called for each scrape; null is answered with 500. */
export function createMetricsServer(text: () => string | null, limits = LIMITS): Server {
  const options = {
    maxHeaderSize: 8192,
    headersTimeout: limits.patienceMs,
    requestTimeout: limits.patienceMs,
    connectionsCheckingInterval: Math.ceil(limits.patienceMs / 2),
    keepAliveTimeout: limits.patienceMs,
  };
  const server = createServer(options, (request, response) => answer(request, response, text));
  server.timeout = limits.patienceMs;
  server.maxConnections = limits.connections;
  return server;
}

function answer(
  request: IncomingMessage, response: ServerResponse, text: () => string | null,
): void {
  request.resume(); // a body, if any, is thrown away
  const path = (request.url ?? '').split('?', 1)[0];
  if (path !== '/' && path !== '/metrics') {
    return send(request, response, 404, 'Not found. Metrics: /metrics\n');
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    return send(request, response, 405, 'Only GET and HEAD.\n');
  }
  if (path === '/') return send(request, response, 200, ABOUT);
  const metrics = text();
  if (metrics === null) return send(request, response, 500, 'Failed: see the log.\n');
  return send(request, response, 200, metrics, CONTENT_TYPE);
}

function send(
  request: IncomingMessage, response: ServerResponse, status: number, body: string, type = PLAIN,
): void {
  response.writeHead(status, {
    'Content-Type': type, 'Content-Length': Buffer.byteLength(body), 'Cache-Control': 'no-store',
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
