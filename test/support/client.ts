/**
 * A client that does exactly what it is told: sends these bytes, waits for that many replies.
 *
 * It never reconnects, never retries and never hides an error. Whatever takes too long, or ends
 * too early, fails with what had been received until then.
 */
import { connect, type Socket } from 'node:net';
import { ReplyParser, encode, plain, show, type Argument, type Plain, type Reply } from './resp.js';
import type { Scope } from './scope.js';
import { PATIENCE_MS, within } from './wait-for.js';

export type Address = number | string; // a port on 127.0.0.1, or a unix socket's path

interface Waiter {
  count: number;
  resolve(replies: Reply[]): void;
  reject(error: Error): void;
}

export class Client {
  readonly #socket: Socket;
  readonly #parser = new ReplyParser();
  readonly #replies: Reply[] = []; // whole replies that nobody has taken
  #waiter: Waiter | null = null;
  #failure: Error | null = null;
  #isClosed = false;
  #onClosed: (() => void)[] = [];
  receivedBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (bytes) => this.#onData(bytes));
    socket.on('error', (error) => { this.#failure ??= error; });
    socket.on('close', () => this.#onClose());
  }

  static async open(scope: Scope, address: Address): Promise<Client> {
    const socket = typeof address === 'number'
      ? connect(address, '127.0.0.1') : connect(address);
    const client = new Client(socket);
    scope.teardown(() => client.destroy());
    await within(`a connection to ${address}`, new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    }));
    return client;
  }

  /** Writes bytes as they are; resolves when the kernel has taken them. */
  async send(bytes: Buffer | string): Promise<void> {
    if (this.#isClosed) throw new Error(`sending on a closed connection; ${this.describe()}`);
    await new Promise<void>((resolve) => { this.#socket.write(bytes, () => resolve()); });
  }

  /** Writes without waiting. */
  push(bytes: Buffer | string): void {
    this.#socket.write(bytes);
  }

  /** Sends one command and takes one reply. */
  async command(...args: Argument[]): Promise<Reply> {
    this.push(encode(args));
    return this.reply();
  }

  /** As command(), but gives the reply's meaning. */
  async call(...args: Argument[]): Promise<Plain> {
    return plain(await this.command(...args));
  }

  /** Sends all commands in one write and takes as many replies. */
  async pipeline(commands: readonly (readonly Argument[])[], patienceMs = PATIENCE_MS):
  Promise<Reply[]> {
    this.push(Buffer.concat(commands.map((command) => encode(command))));
    return this.replies(commands.length, patienceMs);
  }

  async reply(patienceMs = PATIENCE_MS): Promise<Reply> {
    return (await this.replies(1, patienceMs))[0]!;
  }

  /** The next `count` replies, in order. */
  replies(count: number, patienceMs = PATIENCE_MS): Promise<Reply[]> {
    if (this.#waiter !== null) throw new Error('two waits for replies at once on one client');
    if (this.#replies.length >= count) {
      return Promise.resolve(this.#replies.splice(0, count));
    }
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(this.#ended(count));
      const timer = setTimeout(() => {
        this.#waiter = null;
        const error = new Error(`waited ${patienceMs} ms for ${count} replies; ${this.describe()}`);
        reject(error);
      }, patienceMs);
      this.#waiter = {
        count,
        resolve: (replies) => { clearTimeout(timer); resolve(replies); },
        reject: (error) => { clearTimeout(timer); reject(error); },
      };
    });
  }

  /** Replies that have come and that nobody has taken. */
  get waiting(): readonly Reply[] {
    return this.#replies;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Resolves when the other side has closed (politely or by a reset). */
  async closed(patienceMs = PATIENCE_MS): Promise<void> {
    if (this.#isClosed) return;
    const promise = new Promise<void>((resolve) => { this.#onClosed.push(resolve); });
    await within('the connection to be closed', promise, patienceMs).catch((error: Error) => {
      throw new Error(`${error.message}; ${this.describe()}`);
    });
  }

  /** Stops reading: bytes pile up in the kernel, then on the other side. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Sends FIN, goes on reading. */
  end(): void {
    this.#socket.end();
  }

  /** Closes at once, by RST. */
  reset(): void {
    // libuv cannot reset a socket that is shutting down, and would then never let go of it
    if (this.#socket.writableEnded || this.#socket.readableEnded) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** This side's port: tells one client from another in logs and lists. */
  get localPort(): number {
    return this.#socket.localPort ?? 0;
  }

  /** What has come and was not taken, for failure messages. */
  describe(): string {
    const replies = this.#replies;
    const last = replies.slice(-3).map((reply) => show(reply.raw)).join(' ');
    return `received ${replies.length} whole replies ${last}, then ${show(this.#parser.rest)}`
      + (this.#failure === null ? '' : `, and ${this.#failure.message}`);
  }

  #onData(bytes: Buffer): void {
    this.receivedBytes += bytes.length;
    try {
      for (const reply of this.#parser.push(bytes)) this.#replies.push(reply);
    } catch (error) {
      this.#failure = error as Error;
      this.#socket.destroy();
      return;
    }
    const waiter = this.#waiter;
    if (waiter === null || this.#replies.length < waiter.count) return;
    this.#waiter = null;
    waiter.resolve(this.#replies.splice(0, waiter.count));
  }

  #onClose(): void {
    this.#isClosed = true;
    const waiter = this.#waiter;
    this.#waiter = null;
    waiter?.reject(this.#ended(waiter.count));
    for (const resolve of this.#onClosed) resolve();
  }

  #ended(count: number): Error {
    return new Error(`closed while ${count} replies were awaited; ${this.describe()}`);
  }
}
