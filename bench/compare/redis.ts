/**
 * The little RESP that the benchmark itself speaks: load the keys, read the servers' counters.
 */
import { connect, type Socket } from 'node:net';
import { once } from 'node:events';

const ASK_TIMEOUT_MS = 10_000;
const BATCH = 1000;          // SETs in one write
const BATCHES_IN_FLIGHT = 8; // unanswered at most: bounds what a proxy must hold
const OK = 5;                // bytes of "+OK\r\n"

export function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;
}

/** A key as redis-benchmark -r writes it. */
export function keyOf(index: number): string {
  return `key:${String(index).padStart(12, '0')}`;
}

function isWhole(text: string): boolean {
  if (text.startsWith('$') && !text.startsWith('$-')) {
    const end = text.indexOf('\r\n');
    return end > 0 && text.length >= end + 2 + Number(text.slice(1, end)) + 2;
  }
  return text.endsWith('\r\n');
}

/** Sends one command whose reply is one line or one bulk; resolves with its text. */
export async function ask(port: number, ...args: readonly string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  socket.setTimeout(ASK_TIMEOUT_MS, () => socket.destroy(new Error(`port ${port}: no answer`)));
  try {
    socket.write(encode(args), 'latin1');
    let text = '';
    for await (const bytes of socket) {
      text += (bytes as Buffer).toString('latin1');
      if (!isWhole(text)) continue;
      if (text.startsWith('-')) throw new Error(`port ${port}: ${args[0]}: ${text.trim()}`);
      return text;
    }
    throw new Error(`port ${port}: ${args[0]}: connection closed without a reply`);
  } finally {
    socket.destroy();
  }
}

export interface Counters {
  readonly hits: number;
  readonly misses: number;
  /** Calls by command name. */
  readonly calls: ReadonlyMap<string, number>;
}

function numberAfter(text: string, name: string): number {
  return Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)?.[1] ?? 0);
}

/** Keyspace hits and command calls, summed over servers. */
export async function countersOf(ports: readonly number[]): Promise<Counters> {
  const calls = new Map<string, number>();
  let hits = 0;
  let misses = 0;
  for (const port of ports) {
    const stats = await ask(port, 'INFO', 'stats');
    hits += numberAfter(stats, 'keyspace_hits');
    misses += numberAfter(stats, 'keyspace_misses');
    const commands = await ask(port, 'INFO', 'commandstats');
    for (const [, name, count] of commands.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)) {
      calls.set(name!, (calls.get(name!) ?? 0) + Number(count));
    }
  }
  return { hits, misses, calls };
}

/** Resolves when at most `limit` bytes of replies are still missing. */
class Replies {
  #missing = 0;
  #failure: Error | null = null;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    socket.on('data', (bytes: Buffer) => {
      const text = bytes.toString('latin1', 0, 120);
      if (bytes.includes('-')) this.#fail(new Error(`loading: ${text}`));
      this.#missing -= bytes.length;
      this.#wake?.();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('loading: the connection was closed')));
  }

  expect(bytes: number): void {
    this.#missing += bytes;
  }

  async downTo(limit: number): Promise<void> {
    while (this.#missing > limit) {
      if (this.#failure !== null) throw this.#failure;
      await new Promise<void>((resolve) => { this.#wake = resolve; });
    }
    if (this.#failure !== null) throw this.#failure;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake?.();
  }
}

/** SETs key 0 to count-1 through that port, pipelined. Throws on any reply but +OK. */
export async function load(port: number, count: number, valueBytes: number): Promise<void> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const replies = new Replies(socket);
  const value = 'x'.repeat(valueBytes);
  try {
    for (let from = 0; from < count; from += BATCH) {
      const size = Math.min(BATCH, count - from);
      let text = '';
      for (let at = from; at < from + size; at += 1) text += encode(['SET', keyOf(at), value]);
      socket.write(text, 'latin1');
      replies.expect(size * OK);
      await replies.downTo((BATCHES_IN_FLIGHT - 1) * BATCH * OK);
    }
    await replies.downTo(0);
  } finally {
    socket.destroy();
  }
}
