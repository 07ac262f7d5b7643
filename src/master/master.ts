/**
 * The master: opens everything, starts workers, and then sleeps until a flag is set.
 *
 *              all serve              QUIT                   TERM, INT, or time is over
 *   Starting ───────────► Running ───────────► Quitting ─────────────────► Terminating
 *       │                   │ ▲                    └──── all workers gone ──────┴────► Ended
 *       │ workers do not    └─┘ HUP                                             ▲
 *       └─ start ───────────────────────────────────────────────────────────────┘
 *
 * Signal handlers, timers and exit events only set a flag and wake the loop. #cycle() then looks at
 * the whole situation from the top; its order is the specification. The master never touches a
 * client's bytes.
 */
import { ExitCode, systemReason } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { VERSION } from '../base/version.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { Crew } from './crew.js';
import { Ejection } from './ejection.js';
import { House, identityMistakes } from './house.js';
import type { Generation } from './generation.js';
import type { ListenerChange } from './listeners.js';
import { loadAgain, reasonsOf, refuse, type Loaded } from './reload.js';
import { Signals, type SignalFlags } from './signals.js';
import { spawnWorker } from './spawn.js';

export interface MasterOptions {
  readonly load: () => Loaded; // reads the configuration; throws ConfigError
  readonly title: string; // what ps shows behind "baton: master process"
  readonly workerProgram: string; // path of the worker's main module
  readonly isBackground: boolean; // onUp() leaves the terminal, so workers must not hold it
  readonly onUp: () => void; // called once every worker serves
}

const enum Stage { Starting, Running, Quitting, Terminating, Ended }

/** Workers of a new configuration, not all of which serve yet. */
interface Successor {
  readonly crew: Crew;
  readonly change: ListenerChange;
  readonly patience: NodeJS.Timeout;
  isLate: boolean;
  isAbandoned: boolean;
}

const KILL_AFTER_MS = 1000; // as nginx
const START_PATIENCE_MS = 30_000;
const FAILED_STARTS_MAX = 3;

export class Master {
  readonly ended: Promise<ExitCode>;
  readonly #flags: SignalFlags;
  readonly #log: Logger;
  readonly #ejection: Ejection;
  #stage = Stage.Starting;
  #exitCode = ExitCode.Ok;
  #current: Crew;
  #next: Successor | null = null; // starting
  #old: Crew | null = null; // draining
  #isLate = false; // what the running timer waited for has not happened
  #timer: NodeJS.Timeout | null = null;
  #isAwake = false;
  #onEnded: (code: ExitCode) => void = () => {};

  /** Opens everything and starts the workers. Throws OperatorError; then nothing is left behind. */
  static async start(options: MasterOptions, loaded: Loaded): Promise<Master> {
    const signals = new Signals();
    const house = await House.open(loaded.settings);
    dieCleanly(house);
    for (const line of loaded.warnings) house.log.to.warn({ event: 'conf_warning' }, line);
    native.processTitle(`baton: master process ${options.title}`);
    return new Master(options, house, signals, loaded.settings);
  }

  private constructor(
    private readonly options: MasterOptions, private readonly house: House, signals: Signals,
    settings: Settings,
  ) {
    this.#log = house.log.to;
    this.ended = new Promise((resolve) => { this.#onEnded = resolve; });
    this.#flags = signals.flags;
    this.#ejection = new Ejection({
      instance: house.instance, log: this.#log,
      lanes: () => this.#crews().flatMap(({ lanes }) => lanes),
    });
    native.processWatch(house.doorbell, () => this.#ejection.look());
    this.#log.info({ event: 'starting', version: VERSION, conf: settings.file },
      `Baton ${VERSION} starts with ${settings.file}`);
    this.#current = this.#crewOf(house.instance.write(0, settings));
    this.#setTimer(START_PATIENCE_MS);
    try {
      this.#current.start();
    } catch (error) {
      this.#exitCode = ExitCode.Failed;
      this.#log.fatal({ event: 'start_failed' },
        `the workers cannot be started: ${systemReason(error)}`);
      this.#terminate('a failed start');
    }
    signals.follow(() => this.#wake());
  }

  get #settings(): Settings {
    return this.#current.generation.settings;
  }

  #crews(): Crew[] {
    return [this.#current, this.#next?.crew ?? null, this.#old].filter((crew) => crew !== null);
  }

  /** The loop, run soon: flags that are set together are seen together. */
  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    setImmediate(() => {
      this.#isAwake = false;
      this.#cycle();
    });
  }

  #cycle(): void {
    const flags = this.#flags;
    if (this.#stage === Stage.Ended) return;
    const isStopping = this.#stage === Stage.Quitting || this.#stage === Stage.Terminating;
    if (isStopping && this.#crews().every(({ hasEnded }) => hasEnded)) return this.#end();
    if (flags.terminate && this.#stage !== Stage.Terminating) return this.#terminate('TERM or INT');
    if (this.#stage === Stage.Terminating) {
      if (this.#takeLate()) this.#endAll('SIGKILL');
      return;
    }
    if (flags.quit && this.#stage !== Stage.Quitting) return this.#quit();
    if (this.#stage === Stage.Quitting) {
      if (this.#takeLate()) this.#terminate('worker_shutdown_timeout');
      return;
    }
    if (this.#stage === Stage.Starting) this.#continueStart();
    else this.#continueReload();
    if (this.#take('reopen')) this.#reopen();
    if (this.#take('upgrade')) this.#refuseSignal('USR2', 'binary upgrade');
    if (this.#take('commit')) this.#ignoreWindowChange();
    const isReloading = this.#next !== null || this.#old !== null;
    if (flags.reload && this.#stage === Stage.Running && !isReloading) this.#reload();
  }

  // --- start ---

  #continueStart(): void {
    const crew = this.#current;
    if (crew.isServing) {
      this.#stage = Stage.Running;
      this.#setTimer(null);
      const { pids } = crew;
      this.#log.info({ event: 'started', version: VERSION, workers: pids },
        `Baton ${VERSION} serves with ${pids.length} worker${pids.length === 1 ? '' : 's'}`);
      this.options.onUp();
      return this.#wake();
    }
    if (crew.failedStarts < FAILED_STARTS_MAX && !this.#takeLate()) return;
    this.#exitCode = ExitCode.Failed;
    this.#log.fatal({ event: 'start_failed' }, 'the workers do not start');
    this.#terminate('a failed start');
  }

  // --- reload: new workers first, then the old ones drain ---

  #reload(): void {
    const { instance, listeners } = this.house;
    this.#flags.reload = false;
    this.#log.info({ event: 'reloading' }, `reading ${this.#settings.file} again`);
    const settings = loadAgain(this.options.load, this.#settings, this.#log);
    if (settings === null) return;
    const mistakes = [...instance.misfits(settings), ...identityMistakes(settings)];
    if (mistakes.length > 0) return refuse(mistakes, this.#log);
    let change: ListenerChange;
    try {
      change = listeners.change(settings);
    } catch (error) {
      return refuse(reasonsOf(error), this.#log);
    }
    const crew = this.#crewOf(instance.write(this.#current.generation.number + 1, settings));
    const patience = setTimeout(() => {
      next.isLate = true;
      this.#wake();
    }, START_PATIENCE_MS);
    const next: Successor = { crew, change, patience, isLate: false, isAbandoned: false };
    this.#next = next;
    try {
      crew.start();
    } catch (error) {
      this.#abandon(next, systemReason(error));
    }
  }

  #continueReload(): void {
    if (this.#old !== null) this.#continueDrain(this.#old);
    const next = this.#next;
    if (next === null) return;
    if (next.isAbandoned) {
      if (!next.crew.hasEnded) return;
      this.#next = null;
      this.#forget(next.crew);
    } else if (next.crew.isServing) this.#switchTo(next);
    else if (next.isLate || next.crew.failedStarts >= FAILED_STARTS_MAX) {
      this.#abandon(next, 'its workers do not start');
    }
  }

  #abandon(next: Successor, why: string): void {
    clearTimeout(next.patience);
    next.isAbandoned = true;
    next.change.undo();
    next.crew.end('SIGKILL');
    this.#log.error({ event: 'reload_failed', why },
      `the reload failed, the running configuration stays: ${why}`);
  }

  #switchTo({ crew, change, patience }: Successor): void {
    clearTimeout(patience);
    const old = this.#current;
    this.#next = null;
    this.#current = crew;
    this.#old = old;
    change.finish();
    this.#follow();
    old.end('SIGQUIT');
    this.#setTimer(this.#settings.global.workerShutdownTimeoutMs);
    const { number } = crew.generation;
    const facts = { generation: number, workers: crew.pids, draining: old.pids };
    this.#log.info({ event: 'reloaded', ...facts },
      'the new configuration serves, the old workers finish what they have');
  }

  #continueDrain(old: Crew): void {
    if (old.hasEnded) {
      this.#setTimer(null);
      this.#old = null;
      this.#forget(old);
      this.#log.info({ event: 'drained', generation: old.generation.number },
        'the old workers have ended');
    } else if (this.#takeLate()) {
      this.#log.warn({ event: 'drain_cut', workers: old.pids },
        `worker_shutdown_timeout is over, ${old.pids.length} old worker(s) are ended`);
      old.end('SIGKILL');
    }
  }

  #follow(): void {
    try {
      this.house.follow(this.#settings);
    } catch (error) {
      this.#log.error({ event: 'log_not_reopened' },
        `log: ${this.#settings.global.log} cannot be opened: ${systemReason(error)}`);
    }
  }

  #forget(crew: Crew): void {
    this.#ejection.forget(crew.generation);
    this.house.instance.erase(crew.generation);
  }

  // --- the other signals ---

  #reopen(): void {
    this.house.reopenLog(this.#settings);
    for (const crew of this.#crews()) crew.reopenLogs();
  }

  #refuseSignal(signal: string, what: string): void {
    this.#log.warn({ event: 'signal_ignored', signal },
      `${signal}: ${what} is not available in this version`);
  }

  /** A terminal sends WINCH whenever its window changes, so nobody is told aloud. */
  #ignoreWindowChange(): void {
    this.#log.debug({ event: 'signal_ignored', signal: 'WINCH' }, 'WINCH is ignored');
  }

  // --- the end ---

  #quit(): void {
    this.#stage = Stage.Quitting;
    this.#log.info({ event: 'quitting' }, 'stopping: the workers finish what is in flight');
    this.house.listeners.close();
    this.#dropSuccessor();
    this.#endAll('SIGQUIT');
    this.#setTimer(this.#settings.global.workerShutdownTimeoutMs);
  }

  #terminate(why: string): void {
    this.#stage = Stage.Terminating;
    this.#log.info({ event: 'terminating', why }, `stopping now: ${why}`);
    this.house.listeners.close();
    this.#dropSuccessor();
    this.#endAll('SIGTERM');
    this.#setTimer(KILL_AFTER_MS);
  }

  #dropSuccessor(): void {
    if (this.#next !== null) clearTimeout(this.#next.patience);
  }

  #endAll(signal: NodeJS.Signals): void {
    for (const crew of this.#crews()) crew.end(signal);
  }

  #end(): void {
    this.#stage = Stage.Ended;
    this.#setTimer(null);
    this.#ejection.close();
    void this.house.close().then(() => {
      this.#log.info({ event: 'stopped' }, 'Baton has stopped');
      this.#onEnded(this.#exitCode);
    });
  }

  // --- tools ---

  #crewOf(generation: Generation): Crew {
    const { house, options } = this;
    // Taken once: the sockets of a worker stay the same for as long as his configuration.
    const { settings, workers } = generation;
    const sockets = Array.from({ length: workers }, (_, number) =>
      house.listeners.of(settings, number));
    this.#ejection.watch(generation);
    return new Crew({
      instance: house.instance, log: this.#log, changed: () => this.#wake(),
      spawn: (of, number) => spawnWorker({
        program: options.workerProgram, instance: house.instance, doorbell: house.doorbell,
        stderr: this.#stderrOfWorkers(),
      }, of, number, sockets[number]!),
    }, generation);
  }

  #stderrOfWorkers(): 'inherit' | 'pipe' | 'ignore' {
    if (this.house.log.file !== null) return 'pipe';
    return this.options.isBackground ? 'ignore' : 'inherit';
  }

  /** The value of a flag, which is then down. */
  #take(flag: keyof SignalFlags): boolean {
    const isSet = this.#flags[flag];
    this.#flags[flag] = false;
    return isSet;
  }

  #takeLate(): boolean {
    const isLate = this.#isLate;
    this.#isLate = false;
    return isLate;
  }

  /** Only one thing is waited for at a time; null: for nothing. */
  #setTimer(delayMs: number | null): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#isLate = false;
    this.#timer = delayMs === null ? null : setTimeout(() => {
      this.#isLate = true;
      this.#wake();
    }, delayMs);
  }
}

/** An error of ours that nobody caught is told in the log; the workers end with their master. */
function dieCleanly(house: House): void {
  process.on('uncaughtException', (error) => {
    house.log.to.fatal({ event: 'master_failed', err: error }, `internal error: ${error.stack}`);
    house.abandon();
    process.exit(ExitCode.Failed);
  });
}
