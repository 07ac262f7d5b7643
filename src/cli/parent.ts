/**
 * The mute parent: in the foreground, the process that was started stays what its starter knows,
 * while masters come and go with upgrades. It has no lane and no shared memory.
 *
 *   shell, npm, container ── signals ──► parent ── forwarded ──► master in charge, or all of them
 *                                          │  ◄── lines ── one socket pair, one end for all masters
 *   exit code of the last master ◄─────────┘  ── its end: they stop, nobody could stop them
 *
 * When the last master dies by a signal, its workers serve on, and another one is started, which
 * adopts them: at once, then ever more slowly, until it has died too often. If by then the file has a
 * mistake, it is tried until that is mended: the end of the parent would be the workers' end, too, in
 * a container. Any other master that ends by itself ends the parent.
 *
 * Masters have a session of their own, so that what a terminal sends comes only through here.
 * Orphans become the parent's children (as PID 1 of a container they do anyway) and are collected.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { ExitCode, OperatorError, systemReason } from '../base/errors.js';
import { birthOf, isLeft, shellCode } from '../base/process-state.js';
import { BackOff } from '../master/back-off.js';
import { PARENT_LINE_VARIABLE } from '../master/parent-line.js';
import { howToExec } from '../master/typed-command.js';
import { native } from '../native/binding.js';
import { Masters } from './masters.js';

const LINE = 3;
const COLLECT_EVERY_MS = 10; // only while the last master is on its way out
const SIGNALLED = 128; // in an exit code as a shell has it
/** Masters in a row that die right after their start: another one would, too. */
const QUICK_DEATHS_MAX = 5;
/** An end that was asked for does not wait: what a dead master has left is to be ended, too. */
const ENDS: ReadonlySet<NodeJS.Signals> = new Set<NodeJS.Signals>(['SIGTERM', 'SIGINT', 'SIGQUIT']);

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
  #child: ChildProcess; // the first master, or the last one that was started here
  readonly #births = new Map<number, string | null>(); // of masters, by pid
  readonly #kept: NodeJS.Signals[] = []; // until a master can take them
  readonly #backOff = new BackOff();
  #startedAt = 0; // monotonic ms
  #pause: NodeJS.Timeout | null = null; // before another master is started
  #isChildGone = false;
  #end: NodeJS.Signals | null = null; // that was asked for
  #hasLeftWorkers = false; // a master that served has died
  #resolve: (code: number) => void = () => {};
  #reject: (error: Error) => void = () => {};

  constructor() {
    for (const signal of SIGNALS) process.on(signal, () => this.#forward(signal));
    if (!native.processHasTerminal()) process.on('SIGWINCH', () => this.#forward('SIGWINCH'));
    native.processSubreaper();
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.#child = this.#start();
    native.processTitle(`baton: parent process ${process.argv.slice(1).join(' ')}`);
    process.on('SIGCHLD', () => this.#collect());
  }

  #start(): ChildProcess {
    this.#pause = null;
    this.#isChildGone = false;
    this.#startedAt = performance.now();
    const child = this.#child = startMaster();
    child.once('error', (error) => this.#reject(new OperatorError('no-master',
      [`the master cannot be started: ${systemReason(error)}`], ExitCode.Failed)));
    child.once('exit', (code, signal) => this.#childEnded(child, code, signal));
    this.#listen(child);
    return child;
  }

  /** Every master holds the other end, so the end of the stream is the end of the last one. */
  #listen(child: ChildProcess): void {
    const line = child.stdio[LINE] as NodeJS.ReadableStream | undefined;
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
    if (ENDS.has(signal)) this.#end = signal;
    if (!this.#masters.isReady) {
      this.#kept.push(signal);
      if (this.#pause !== null && this.#end !== null) this.#startNow();
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

  #isUncollected(pid: number): boolean {
    const birth = this.#births.get(pid);
    return typeof birth === 'string' && isLeft(pid, birth);
  }

  #childEnded(child: ChildProcess, code: number | null, signal: NodeJS.Signals | null): void {
    this.#isChildGone = true;
    this.#masters.hear(`here ${child.pid!}\n`); // one that died before it could say so
    this.#masters.end(child.pid!, shellCode(code, signal));
    this.#collect();
  }

  #collect(): void {
    const own = this.#isChildGone ? 0 : this.#child.pid!;
    for (const { pid, status } of native.processReapOrphans(own)) this.#masters.end(pid, status);
  }

  /**
   * They have let go of the line; what is left of them takes a moment to be gone. One whose own
   * parent is just ending comes to us only then: how it has ended is not known before.
   */
  #finish(): void {
    this.#collect();
    const isOver = this.#isChildGone && !this.#masters.pids.some((pid) => this.#isUncollected(pid));
    if (!isOver) setTimeout(() => this.#finish(), COLLECT_EVERY_MS);
    else if (!this.#replace()) this.#resolve(this.#masters.lastCode ?? ExitCode.Failed);
  }

  /** Starts another master if the last one has died and not ended. False: this is the end. */
  #replace(): boolean {
    const code = this.#masters.lastCode ?? ExitCode.Failed;
    const isDead = code > SIGNALLED;
    const mayBeMended = code === ExitCode.Operator && this.#hasLeftWorkers && this.#end === null;
    if (!isDead && !mayBeMended) return false;
    this.#hasLeftWorkers ||= this.#masters.hasServed;
    const livedMs = this.#masters.hasServed ? performance.now() - this.#startedAt : 0;
    const pauseMs = this.#backOff.next(livedMs);
    if (isDead && this.#backOff.quickDeaths > QUICK_DEATHS_MAX) return false;
    this.#masters.restart();
    const why = isDead ? `the master died (signal ${code - SIGNALLED})`
      : 'no master can start, workers serve on';
    const when = pauseMs === 0 ? 'at once' : `in ${pauseMs} ms`;
    process.stderr.write(`baton: ${why}: another one starts ${when}\n`);
    this.#pause = setTimeout(() => this.#start(), pauseMs);
    if (this.#end !== null) this.#forward(this.#end);
    return true;
  }

  #startNow(): void {
    clearTimeout(this.#pause!);
    this.#start();
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
