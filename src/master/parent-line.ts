/**
 * A master's line to the mute parent that started the first one (src/cli/parent.ts). Every master
 * has the same end of one socket pair, whose number is in its environment; it says
 *
 *   here PID          signals reach me from now on      serving PID   I am the one in charge
 *   ended PID CODE    PID is about to exit with CODE
 *
 * and reads nothing but the end: nobody is left to forward signals, or to say that Baton ended.
 */
import { writeSync } from 'node:fs';
import { Socket } from 'node:net';
import { native } from '../native/binding.js';

export const PARENT_LINE_VARIABLE = 'BATON_PARENT_FD';

export class ParentLine {
  readonly #socket: Socket;

  /** Close-on-exec. The next master gets a copy, and its number there in PARENT_LINE_VARIABLE. */
  private constructor(readonly fd: number) {
    native.processCloseOnExec([fd]);
    this.#socket = new Socket({ fd, readable: true, writable: false });
    this.#socket.on('error', () => {}); // 'close' follows
    this.#socket.resume().unref();
    this.#say(`here ${process.pid}`);
  }

  /**
   * To be called once, as soon as signals have handlers: the parent keeps those that come earlier
   * back. Null: this master has no parent (-d, systemd). Takes the variable out of the environment,
   * so that workers do not see it.
   */
  static fromEnvironment(): ParentLine | null {
    const fd = Number(process.env[PARENT_LINE_VARIABLE] ?? 'none');
    delete process.env[PARENT_LINE_VARIABLE];
    return Number.isInteger(fd) ? new ParentLine(fd) : null;
  }

  /** This master is in charge: HUP and USR2 are for it. Also after a roll back. */
  serving(): void {
    this.#say(`serving ${process.pid}`);
  }

  /** This master ends, all its workers having ended. The last one's code becomes the parent's. */
  ended(code: number): void {
    this.#say(`ended ${process.pid} ${code}`);
  }

  /** Calls back once, when the parent has died: there is nobody who would stop this master. */
  onGone(callback: () => void): void {
    if (this.#socket.destroyed) setImmediate(callback);
    else this.#socket.once('close', callback);
  }

  #say(line: string): void {
    try {
      writeSync(this.fd, `${line}\n`);
    } catch {
      // The parent is gone, as onGone() tells, or stopped (EAGAIN): it will ask /proc.
    }
  }
}
