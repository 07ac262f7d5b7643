/**
 * A raw connection that sends many commands at once and reads as many replies: keys and values are
 * bytes, and nothing is retried or hidden.
 */
import { connect } from 'node:net';
import type { NetConnectOpts, Socket } from 'node:net';

/** Simple strings, errors, bulks as latin1 text ('+OK', '-ERR …', 'value'); integers as numbers. */
export type Reply = string | number | null;

export class RespPipeline {
  readonly #socket: Socket;
  #unread: Buffer = Buffer.alloc(0);
  #replies: Reply[] = [];
  #wanted = 0;
  #settle: { done: (replies: Reply[]) => void; failed: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (bytes: Buffer) => this.#read(bytes));
    socket.on('error', (error) => this.#settle?.failed(error));
    socket.on('close', () => this.#settle?.failed(new Error('closed before all replies')));
  }

  /** Rejects when nobody listens there. */
  static open(to: NetConnectOpts): Promise<RespPipeline> {
    return new Promise((done, failed) => {
      const socket = connect(to);
      socket.once('error', failed);
      socket.once('connect', () => {
        socket.off('error', failed);
        done(new RespPipeline(socket));
      });
    });
  }

  /** Sends `commands` in one go; resolves with their replies in order. One batch at a time. */
  send(commands: readonly (readonly (Buffer | string)[])[]): Promise<Reply[]> {
    const parts: Buffer[] = [];
    for (const command of commands) {
      parts.push(Buffer.from(`*${command.length}\r\n`));
      for (const argument of command) {
        const bytes = Buffer.from(argument as string);
        parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
      }
    }
    return new Promise((done, failed) => {
      this.#wanted = commands.length;
      this.#replies = [];
      this.#settle = { done, failed };
      this.#socket.write(Buffer.concat(parts));
    });
  }

  close(): void {
    this.#settle = undefined;
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    let at = 0;
    for (let end; (end = this.#replyEnd(at)) > 0; at = end) continue;
    this.#unread = this.#unread.subarray(at);
    if (this.#replies.length < this.#wanted || this.#wanted === 0) return;
    const settle = this.#settle;
    this.#settle = undefined;
    this.#wanted = 0;
    settle?.done(this.#replies);
  }

  /** Takes the reply at `at`; returns where the next one starts, 0 when this one is not whole. */
  #replyEnd(at: number): number {
    const lineEnd = this.#unread.indexOf('\r\n', at);
    if (lineEnd < 0) return 0;
    const line = this.#unread.toString('latin1', at, lineEnd);
    if (line[0] !== '$') {
      this.#replies.push(line[0] === ':' ? Number(line.slice(1)) : line);
      return lineEnd + 2;
    }
    const size = Number(line.slice(1));
    if (size < 0) {
      this.#replies.push(null);
      return lineEnd + 2;
    }
    const end = lineEnd + 2 + size;
    if (this.#unread.length < end + 2) return 0;
    this.#replies.push(this.#unread.toString('latin1', lineEnd + 2, end));
    return end + 2;
  }
}
