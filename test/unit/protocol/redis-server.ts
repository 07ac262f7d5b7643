/**
 * A real redis-server for the tests that compare our facts with Redis' own: on a unix socket in
 * a directory of its own, so that no port can clash. Replies are read as raw bytes.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export class RedisServer {
  readonly #process: ChildProcess;
  readonly #directory: string;

  private constructor(process: ChildProcess, directory: string) {
    this.#process = process;
    this.#directory = directory;
  }

  /** Starts a server and waits until it says that it accepts connections. */
  static start(...options: string[]): Promise<RedisServer> {
    const directory = mkdtempSync(join(tmpdir(), 'baton-redis-'));
    const child = spawn('redis-server', [
      '--port', '0', '--unixsocket', join(directory, 'sock'), '--save', '', '--dir', directory,
      ...options,
    ], { stdio: ['ignore', 'pipe', 'inherit'] });
    return new Promise((resolve, reject) => {
      let log = '';
      child.once('error', reject);
      child.once('exit', () => reject(new Error(`redis-server ended: ${log}`)));
      child.stdout.on('data', (chunk: Buffer) => {
        log += chunk.toString();
        if (log.includes('eady to accept connections')) resolve(new RedisServer(child, directory));
      });
    });
  }

  connect(): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(join(this.#directory, 'sock'));
      socket.once('error', reject);
      socket.once('connect', () => resolve(new RawConnection(socket)));
    });
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGKILL');
    await ended;
    rmSync(this.#directory, { recursive: true });
  }
}

type Word = string | Uint8Array;

/** One connection; each call sends one command and returns the bytes of its reply. */
export class RawConnection {
  readonly #socket: Socket;
  #count = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The end of a reply is known by the ECHO that is sent behind the command. */
  ask(...words: Word[]): Promise<Buffer> {
    const mark = `end-of-reply-${this.#count += 1}`;
    const end = Buffer.from(`$${mark.length}\r\n${mark}\r\n`);
    const refused = Buffer.from('-NOAUTH Authentication required.\r\n');
    return new Promise((resolve, reject) => {
      let got = Buffer.alloc(0);
      const settle = (finish: () => void): void => {
        this.#socket.off('data', onData).off('close', onClosed);
        finish();
      };
      const onData = (chunk: Buffer): void => {
        got = Buffer.concat([got, chunk]);
        const tail = [end, refused].find((mark) => got.length > mark.length && endsWith(got, mark));
        if (tail !== undefined) settle(() => resolve(got.subarray(0, got.length - tail.length)));
      };
      const onClosed = (): void => settle(() =>
        got.length > 0 ? resolve(got) : reject(new Error('connection closed without a reply')));
      this.#socket.on('data', onData).on('close', onClosed);
      this.#socket.write(Buffer.concat([commandBytes(words), commandBytes(['ECHO', mark])]));
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

function endsWith(bytes: Buffer, tail: Buffer): boolean {
  return bytes.subarray(bytes.length - tail.length).equals(tail);
}

function commandBytes(words: readonly Word[]): Buffer {
  return Buffer.concat([
    Buffer.from(`*${words.length}\r\n`),
    ...words.flatMap((word) => {
      const bytes = Buffer.from(word as string);
      return [Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n')];
    }),
  ]);
}

/** The words of a command line without quoting rules, as the proxy gets them. */
export function argsOf(line: string): Buffer[] {
  return line.split(' ').map((word) => Buffer.from(word === '""' ? '' : word));
}
