/**
 * A Redis server that does what the test says: answers by a function, late, never, half, or closes.
 *
 * A handler gets each request and calls request.reply() when it likes, but on one connection in
 * order: as in Redis, the position of a reply says whose it is. What belongs to a link's handshake
 * (HELLO, AUTH, SELECT, CLIENT, PING without arguments) is answered without asking the handler.
 */
import { createServer, type Server, type Socket } from 'node:net';
import type { Client } from './client.js';
import { freePort } from './free-port.js';
import { ReplyParser, type Reply } from './resp.js';
import type { Scope } from './scope.js';

export interface Link {
  readonly socket: Socket;
  readonly number: number; // counts accepted connections, from 0
}

export interface Received {
  readonly name: string;            // in capitals
  readonly args: readonly Buffer[]; // the name not among them
  readonly link: Link;
  readonly arrivedMs: number;       // performance.now()
  reply(bytes: string | Buffer): void;
}

export type Handler = (request: Received) => void;

const HELLO2 = '*6\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n'
  + '$5\r\nproto\r\n:2\r\n';
const HELLO3 = '%3\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n'
  + '$5\r\nproto\r\n:3\r\n';

export class FakeBackend {
  #server: Server | null = null;
  readonly #sockets = new Set<Socket>();
  readonly requests: Received[] = []; // all that reached the handler
  connects = 0;
  isDeaf = false; // accepts, and never reads
  greeting = ''; // said to each new link before it asks, and then the link is closed

  private constructor(readonly port: number, public handler: Handler) {}

  static async start(scope: Scope, handler: Handler): Promise<FakeBackend> {
    const backend = new FakeBackend(await freePort(), handler);
    await backend.up();
    scope.teardown(() => backend.down());
    return backend;
  }

  get entry(): string {
    return `127.0.0.1:${this.port}:1`;
  }

  get openLinks(): number {
    return this.#sockets.size;
  }

  async up(): Promise<void> {
    const server = createServer((socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.port, '127.0.0.1', resolve);
    });
  }

  /** Stops listening and closes every connection: from now on connects are refused. */
  async down(): Promise<void> {
    const server = this.#server;
    if (server === null) return;
    this.#server = null;
    this.dropLinks();
    await new Promise<void>((resolve) => { server.close(() => resolve()); });
  }

  dropLinks(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Listens (or reads) again after isDeaf. */
  hear(): void {
    this.isDeaf = false;
    for (const socket of this.#sockets) socket.resume();
  }

  /** Names of the commands that came, in order. */
  names(): string[] {
    return this.requests.map((request) => request.name);
  }

  #accept(socket: Socket): void {
    const link = { socket, number: this.connects };
    this.connects += 1;
    this.#sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => {}); // resets are part of the game
    socket.on('close', () => this.#sockets.delete(socket));
    const parser = new ReplyParser(); // requests are arrays of bulk strings, as some replies are
    socket.on('data', (bytes) => {
      for (const request of parser.push(bytes)) this.#take(link, request);
    });
    if (this.isDeaf) socket.pause();
    if (this.greeting !== '') socket.end(this.greeting);
  }

  #take(link: Link, parsed: Reply): void {
    const [name, ...args] = parsed.items.map((item) => Buffer.from(item.bytes!));
    const request: Received = {
      name: name!.toString().toUpperCase(), args, link, arrivedMs: performance.now(),
      reply: (bytes) => { if (!link.socket.destroyed) link.socket.write(bytes); },
    };
    const greeting = handshake(request);
    if (greeting !== null) return request.reply(greeting);
    this.requests.push(request);
    this.handler(request);
  }
}

function handshake(request: Received): string | null {
  switch (request.name) {
    case 'HELLO': return request.args[0]?.toString() === '3' ? HELLO3 : HELLO2;
    case 'AUTH': case 'SELECT': case 'CLIENT': return '+OK\r\n';
    case 'PING': return request.args.length === 0 ? '+PONG\r\n' : null;
    default: return null;
  }
}

/** A key of each server, found by asking for keys until every server was asked. */
export async function ownedKeys(client: Client, fakes: readonly FakeBackend[]): Promise<string[]> {
  const keys: (string | null)[] = fakes.map(() => null);
  for (let i = 0; keys.includes(null); i += 1) {
    await client.command('GET', `probe${i}`);
    for (const [index, fake] of fakes.entries()) {
      if (fake.requests.length > 0) keys[index] = `probe${i}`;
      fake.requests.length = 0;
    }
  }
  return keys as string[];
}
