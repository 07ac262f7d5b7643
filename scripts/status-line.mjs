/**
 * The one line that shows, on a terminal, what Baton does right now: read once a second from its
 * statistics port (twemproxy's JSON: connect, read one object, the peer closes). On anything that
 * is not a terminal it prints nothing.
 */
import { connect } from 'node:net';

const PERIOD_MS = 1000;
const READ_TIMEOUT_MS = 900;
const ERASE = '\r\x1b[2K';

/** Reads one statistics object; undefined when there is none to be had. */
export function readStats({ host, port }) {
  return new Promise((resolve) => {
    let text = '';
    const socket = connect({ host, port });
    socket.setTimeout(READ_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', (bytes) => (text += bytes));
    socket.on('error', () => {});
    socket.on('close', () => {
      try {
        resolve(JSON.parse(text));
      } catch {
        resolve(undefined);
      }
    });
  });
}

/** Requests sent to all servers since the start, and clients connected now. */
export function sumStats(stats) {
  const pools = Object.values(stats).filter(isGroup);
  const servers = pools.flatMap((pool) => Object.values(pool).filter(isGroup));
  const sum = (groups, key) => groups.reduce((total, group) => total + (group[key] ?? 0), 0);
  return { requests: sum(servers, 'requests'), clients: sum(pools, 'client_connections') };
}

function isGroup(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export class StatusLine {
  #address;
  #timer;
  #before;
  #text = '';

  /** `address`: { host, port } of the statistics port, or null when there is none. */
  constructor(address) {
    this.#address = address;
  }

  start() {
    if (!process.stdout.isTTY || this.#address === null) return;
    this.#timer = setInterval(() => this.#tick(), PERIOD_MS);
  }

  /** Prints a line above the status line. */
  print(line) {
    if (this.#text === '') process.stdout.write(`${line}\n`);
    else process.stdout.write(`${ERASE}${line}\n${this.#text}`);
  }

  stop() {
    clearInterval(this.#timer);
    if (this.#text !== '') process.stdout.write(ERASE);
    this.#text = '';
    this.#address = null;
  }

  async #tick() {
    const stats = await readStats(this.#address);
    if (stats === undefined || this.#address === null) return;
    const now = { ...sumStats(stats), atMs: Date.now() };
    const before = this.#before ?? now;
    this.#before = now;
    const elapsed = (now.atMs - before.atMs) / 1000;
    const rate = elapsed > 0 ? Math.round((now.requests - before.requests) / elapsed) : 0;
    const text = `${rate.toLocaleString('en')} requests/s · ${now.clients} clients · `
      + `${now.requests.toLocaleString('en')} requests so far`;
    this.#text = text.slice(0, Math.max(0, (process.stdout.columns || 80) - 1));
    process.stdout.write(`${ERASE}${this.#text}`);
  }
}
