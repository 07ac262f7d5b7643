/**
 * The mute parent: in the foreground, the process that was started stays what its starter knows,
 * while masters come and go with upgrades. It has no lane and no shared memory.
 *
 *   shell, npm, container ── signals ──► parent ── forwarded ──► master in charge, or all of them
 *                                          │  ◄── lines ── one socket pair, one end for all masters
 *   exit code of the last master ◄─────────┘  ── its end: they stop, nobody could stop them
 *
 * Masters have a session of their own, so that what a terminal sends comes only through here.
 * Orphans become the parent's children (as PID 1 of a container they do anyway) and are collected.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { ExitCode, OperatorError, systemReason } from '../base/errors.js';
import { PARENT_LINE_VARIABLE } from '../master/parent-line.js';
import { howToExec } from '../master/typed-command.js';
import { native } from '../native/binding.js';
import { Masters } from './masters.js';
import { birthOf, shellCode } from './process-state.js';

const LINE = 3;
const COLLECT_EVERY_MS = 10; // only while the last master is on its way out

/** A terminal sends WINCH with each change of its window, which means nothing to a proxy. */
const SIGNALS: readonly NodeJS.Signals[] =
  ['SIGTERM', 'SIGINT', 'SIGQUIT', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'];

/** Whether this process is a master that has a parent, not one that shall be the parent. */
export function hasParent(): boolean {
  return process.env[PARENT_LINE_VARIABLE] !== undefined;
}

/** Starts the first master; resolves when all masters have ended, to the code of the last one. */
export function runParent(): Promise<number> {
  const parent = new Parent();
  return parent.ended;
}

class Parent {
  readonly ended: Promise<number>;
  readonly #masters = new Masters();
  readonly #first: ChildProcess;
  readonly #births = new Map<number, string | null>(); // of masters, by pid
  readonly #kept: NodeJS.Signals[] = []; // until a master can take them
  #isFirstGone = false;
  #resolve: (code: number) => void = () => {};

  constructor() {
    for (const signal of SIGNALS) process.on(signal, () => this.#forward(signal));
    if (!native.processHasTerminal()) process.on('SIGWINCH', () => this.#forward('SIGWINCH'));
    native.processSubreaper();
    this.#first = startMaster();
    native.processTitle(`baton: parent process ${process.argv.slice(1).join(' ')}`);
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#first.once('error', (error) => reject(new OperatorError('no-master',
        [`the master cannot be started: ${systemReason(error)}`], ExitCode.Failed)));
    });
    this.#first.once('exit', (code, signal) => this.#firstEnded(code, signal));
    process.on('SIGCHLD', () => this.#collect());
    this.#listen();
  }

  /** Every master holds the other end, so the end of the stream is the end of the last one. */
  #listen(): void {
    const line = this.#first.stdio[LINE] as NodeJS.ReadableStream | undefined;
    line?.on('data', (bytes: Buffer) => {
      this.#masters.hear(bytes.toString('latin1'));
      for (const pid of this.#masters.pids) {
        if (!this.#births.has(pid)) this.#births.set(pid, birthOf(pid));
      }
      if (!this.#masters.isReady) return;
      for (const signal of this.#kept.splice(0)) this.#forward(signal);
    });
    line?.on('close', () => this.#finish());
    line?.on('error', () => {}); // 'close' follows
  }

  #forward(signal: NodeJS.Signals): void {
    if (!this.#masters.isReady) {
      this.#kept.push(signal);
      return;
    }
    for (const pid of this.#masters.receivers(signal)) {
      if (this.#isThere(pid)) process.kill(pid, signal);
      else this.#masters.end(pid, ExitCode.Failed); // another master has collected it
    }
  }

  #isThere(pid: number): boolean {
    const birth = birthOf(pid);
    return birth !== null && birth === this.#births.get(pid);
  }

  #firstEnded(code: number | null, signal: NodeJS.Signals | null): void {
    this.#isFirstGone = true;
    this.#masters.hear(`here ${this.#first.pid!}\n`); // one that died before it could say so
    this.#masters.end(this.#first.pid!, shellCode(code, signal));
    this.#collect();
  }

  #collect(): void {
    const own = this.#isFirstGone ? 0 : this.#first.pid!;
    for (const { pid, status } of native.processReapOrphans(own)) this.#masters.end(pid, status);
  }

  /** They have let go of the line; what is left of them takes a moment to be gone. */
  #finish(): void {
    const isOver = this.#isFirstGone && !this.#masters.pids.some((pid) => this.#isThere(pid));
    this.#collect(); // afterwards: one that has just died is to be asked how
    if (isOver) this.#resolve(this.#masters.lastCode ?? ExitCode.Failed);
    else setTimeout(() => this.#finish(), COLLECT_EVERY_MS);
  }
}

/** As it was typed, in a session of its own, with the line at descriptor 3. */
function startMaster(): ChildProcess {
  const { command, args, cwd, argv0 } = howToExec();
  return spawn(command, args, {
    argv0, cwd, detached: true, stdio: ['ignore', 'inherit', 'inherit', 'pipe'],
    env: { ...process.env, [PARENT_LINE_VARIABLE]: String(LINE) },
  });
}
