/**
 * The log: one JSON line for each event that an operator acts on, to standard error or a file.
 *
 *   {"level":"info","time":"2026-…Z","pid":7,"role":"worker 0","event":"listening",…,"msg":"…"}
 *
 * `event` names are stable: alarms may match on them. Lines are written at once, each with one
 * write, so that processes may share a file and none is lost at an exit or a crash; there are too
 * few of them to be worth a buffer. A terminal gets pino-pretty's form where that is installed.
 */
import { closeSync, fchownSync, openSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isatty } from 'node:tty';
import { pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

export interface LogOptions {
  readonly file: string | null; // null: standard error
  readonly level: string; // trace, debug, info, warn, error, fatal
  readonly role: string; // 'master', 'worker 0'
}

const STDERR = 2;
/** How long a line waits for a slow reader of a pipe; then it is dropped, and counted. */
const WRITE_PATIENCE_MS = 100;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

export class Log {
  readonly to: Logger;
  readonly #sink: Sink;
  role: string; // of this process; a standby's changes

  /** Throws the system's error when the file cannot be opened. */
  constructor(options: LogOptions) {
    this.#sink = new Sink(options.file);
    this.role = options.role;
    const settings = {
      level: options.level,
      base: { pid: process.pid },
      mixin: () => ({ role: this.role }),
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label: string) => ({ level: label }) },
    };
    this.to = pino(settings, options.file === null ? prettyOr(this.#sink) : this.#sink);
  }

  /** Where the lines go; changes with each reopen. */
  get fd(): number {
    return this.#sink.fd;
  }

  get file(): string | null {
    return this.#sink.file;
  }

  setLevel(level: string): void {
    this.to.level = level;
  }

  /** Opens the file anew, or another one. When it cannot, it throws and keeps the old one. */
  reopen(file: string | null = this.#sink.file): void {
    this.#sink.open(file);
  }

  /** Makes the file `uid`'s, so that workers that run as that user can open it anew. */
  giveTo(uid: number, gid: number): void {
    if (this.#sink.fd !== STDERR) fchownSync(this.#sink.fd, uid, gid);
  }
}

/** Appends whole lines to a descriptor. */
class Sink implements DestinationStream {
  fd = STDERR;
  file: string | null = null;
  #dropped = 0;
  #isMidLine = false; // a part of a line is out, the rest was dropped

  constructor(file: string | null) {
    this.open(file);
  }

  open(file: string | null): void {
    const next = file === null ? STDERR : openSync(file, 'a', 0o640);
    if (this.fd !== STDERR) closeSync(this.fd);
    this.fd = next;
    this.file = file;
  }

  write(line: string): void {
    if (this.#dropped > 0) {
      const note = `{"level":"warn","event":"log_lines_lost","lines":${this.#dropped}}\n`;
      if (!this.#writeAll(note)) return void this.#dropped++;
      this.#dropped = 0;
    }
    if (!this.#writeAll(line)) this.#dropped++;
  }

  /** False when the line could not be written: a full disk, or a pipe that nobody reads. */
  #writeAll(line: string): boolean {
    const whole = Buffer.from(this.#isMidLine ? `\n${line}` : line);
    let rest = whole;
    for (let waitedMs = 0; rest.length > 0;) {
      try {
        rest = rest.subarray(writeSync(this.fd, rest));
      } catch (error) {
        const isBusy = (error as NodeJS.ErrnoException).code === 'EAGAIN';
        if (!isBusy || waitedMs >= WRITE_PATIENCE_MS) {
          this.#isMidLine ||= rest.length < whole.length;
          return false;
        }
        waitedMs += 5;
        Atomics.wait(sleeper, 0, 0, 5);
      }
    }
    this.#isMidLine = false;
    return true;
  }
}

/** For a person at a terminal: readable lines, if the development packages are there. */
function prettyOr(sink: Sink): DestinationStream {
  if (!isatty(STDERR)) return sink;
  try {
    const pretty = createRequire(import.meta.url)('pino-pretty') as typeof import('pino-pretty');
    return pretty({
      destination: STDERR, sync: true, hideObject: true, // the message says it all
      translateTime: 'SYS:HH:MM:ss.l', messageFormat: '{role}: {msg}',
    });
  } catch {
    return sink;
  }
}
