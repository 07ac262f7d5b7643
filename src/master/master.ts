/**
 * The master: opens everything, starts workers, and then sleeps until a flag is set.
 *
 *              all serve              QUIT                   TERM, INT, or time is over
 *   Starting ───────────► Running ───────────► Quitting ─────────────────► Terminating
 *       │                   │ ▲                    └──── all workers gone ──────┴────► Ended
 *       │ workers do not    └─┘ HUP, USR2                                       ▲
 *       └─ start ───────────────────────────────────────────────────────────────┘
 *
 * Signal handlers, timers, doorbells and exit events only set a flag and wake the loop. #cycle()
 * then looks at the whole situation from the top; its order is the specification. The master never
 * touches a client's bytes. What takes several steps has a state machine of its own: a reload
 * (reloading.ts), an upgrade as the old master (upgrade.ts) or as the new one (succession.ts).
 */
import { ExitCode, systemReason } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { VERSION } from '../base/version.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { Crew } from './crew.js';
import { unpack } from './handover.js';
import { House } from './house.js';
import { dieOfOwnFaults } from './own-faults.js';
import { Office } from './office.js';
import { ParentLine } from './parent-line.js';
import { Patience } from './patience.js';
import { Priority } from './priority.js';
import type { Loaded } from './reload.js';
import { Reloading } from './reloading.js';
import { Pending, Signals } from './signals.js';
import { Succession } from './succession.js';
import { prepareSuccession } from './succession-start.js';
import { Upgrade, UpgradeStage } from './upgrade.js';

export interface MasterOptions {
  readonly load: () => Loaded; // reads the configuration; throws ConfigError
  readonly title: string; // what ps shows behind "baton: master process"
  readonly isBackground: boolean; // onUp() leaves the terminal, so workers must not hold it
  readonly onUp: () => void; // called once every worker serves; not in a master of an upgrade
}

const enum Stage { Starting, Running, Quitting, Terminating, Ended }

const KILL_AFTER_MS = 1000; // as nginx
const START_PATIENCE_MS = 30_000;
const STAND_DOWN_PATIENCE_MS = 5000;
const FAILED_STARTS_MAX = 3;

export class Master {
  readonly ended: Promise<ExitCode>;
  readonly #signals: Pending;
  readonly #log: Logger;
  readonly #office: Office;
  #stage = Stage.Starting;
  #exitCode = ExitCode.Ok;
  #crew: Crew;
  #reloading: Reloading | null = null;
  #upgrade: Upgrade | null = null;
  #succession: Succession | null = null;
  #isLeaving = false; // another master goes on without this one
  readonly #patience = new Patience(() => this.#wake());
  #isAwake = false;
  #onEnded: (code: ExitCode) => void = () => {};

  /** Opens everything and starts the workers. Throws OperatorError; then nothing is left behind. */
  static async start(options: MasterOptions, loaded: Loaded): Promise<Master> {
    const signals = new Signals();
    const parent = ParentLine.fromEnvironment();
    const given = unpack();
    native.processTitle(`baton: master process ${options.title}`);
    const house = given === null ? await House.open(loaded.settings)
      : await House.inherit(loaded.settings, given);
    for (const line of loaded.warnings) house.log.to.warn({ event: 'conf_warning' }, line);
    return new Master(options, house, signals, parent, loaded.settings);
  }

  private constructor(
    private readonly options: MasterOptions, private readonly house: House, signals: Signals,
    parent: ParentLine | null, settings: Settings,
  ) {
    const { handover } = house;
    this.#log = house.log.to;
    this.ended = new Promise((resolve) => { this.#onEnded = resolve; });
    this.#signals = new Pending(signals.flags, this.#log);
    const isBackground = handover?.isBackground || options.isBackground;
    const priority = new Priority(handover?.niceness);
    this.#office = new Office(house, parent, priority, isBackground, () => this.#wake());
    dieOfOwnFaults(this.#log);
    this.#log.info({ event: 'starting', version: VERSION, conf: settings.file },
      `Baton ${VERSION} starts with ${settings.file}`);
    if (handover === null) this.#crew = this.#startFirst(settings);
    else {
      this.#succession = prepareSuccession(this.#office, settings, handover);
      this.#crew = this.#succession.crew;
      this.#stage = Stage.Running;
    }
    parent?.onGone(() => {
      signals.flags.terminate = true;
      this.#wake();
    });
    signals.follow(() => this.#wake());
  }

  get #settings(): Settings {
    return this.#crew.generation.roster.settings;
  }

  #crews(): readonly Crew[] {
    return this.#reloading?.crews ?? [this.#crew];
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
    if (this.#stage === Stage.Ended) return;
    for (const crew of this.#crews()) crew.look();
    const isStopping = this.#stage === Stage.Quitting || this.#stage === Stage.Terminating;
    if (isStopping && this.#hasAllEnded()) return this.#end();
    if (this.#stage === Stage.Terminating) return this.#continueTermination();
    if (this.#isLeaving) return this.#continueQuitting();
    const pending = this.#signals;
    if (pending.has('terminate') && this.#mayStop()) return this.#terminate('TERM or INT');
    if (this.#stage === Stage.Quitting) return this.#continueQuitting();
    if (pending.has('quit') && this.#mayStop()) return this.#quit();
    if (this.#stage === Stage.Starting) this.#continueStart();
    this.#continueReload();
    this.#continueSuccession();
    this.#continueUpgrade();
    if (pending.take('reopen')) this.#reopen();
    if (pending.has('commit')) this.#commit();
    if (pending.has('upgrade')) this.#startUpgrade();
    if (pending.has('reload')) this.#reload();
  }

  // --- start ---

  #startFirst(settings: Settings): Crew {
    const { instance } = this.house;
    const generation = instance.write(instance.nextRoster(settings));
    const crew = this.#office.crewOf(generation);
    this.#office.ejection.watch([generation]);
    this.#office.hold(generation);
    this.#patience.begin(START_PATIENCE_MS);
    try {
      crew.start();
      crew.serve(crew.lanes, false);
    } catch (error) {
      this.#crew = crew;
      this.#failStart(`the workers cannot be started: ${systemReason(error)}`);
    }
    return crew;
  }

  #continueStart(): void {
    const crew = this.#crew;
    if (crew.isServing) {
      this.#stage = Stage.Running;
      this.#patience.begin(null);
      const { pids } = crew;
      this.#log.info({ event: 'started', version: VERSION, workers: pids },
        `Baton ${VERSION} serves with ${pids.length} worker${pids.length === 1 ? '' : 's'}`);
      this.options.onUp();
      this.#office.announce();
      return this.#wake();
    }
    if (crew.failedStarts < FAILED_STARTS_MAX && !this.#patience.takeOver()) return;
    this.#failStart('the workers do not start');
  }

  #failStart(why: string): void {
    this.#exitCode = ExitCode.Failed;
    this.#log.fatal({ event: 'start_failed' }, why);
    this.#terminate('a failed start');
  }

  // --- reload, reopen ---

  #reload(): void {
    if (this.#stage !== Stage.Running || this.#reloading !== null) return;
    if (this.#succession !== null || (!this.#upgrade && !this.house.instance.isHalfFree())) {
      return this.#signals.postpone('reload', 'reload_waits', 'HUP: the old version can still ' +
        'take the sessions back; the configuration is read again when the upgrade is committed');
    }
    this.#signals.take('reload');
    if (this.#upgrade !== null) return this.#upgrade.rollBack();
    this.#reloading = Reloading.begin(this.#office, this.options.load, this.#crew);
    this.#continueReload();
  }

  #continueReload(): void {
    const reloading = this.#reloading;
    if (reloading === null) return;
    reloading.continue();
    this.#crew = reloading.crew;
    if (!reloading.isOver) return;
    this.#reloading = null;
    this.#wake();
  }

  #reopen(): void {
    this.house.reopenLog(this.#settings);
    for (const crew of this.#crews()) crew.reopenLogs();
  }

  // --- upgrade, as the old master ---

  #startUpgrade(): void {
    if (this.#succession?.isAdoption === true) return; // soon
    if (this.#upgrade !== null || this.#succession !== null) {
      this.#signals.take('upgrade');
      const pid = this.#upgrade?.pid ?? process.pid;
      this.#log.error({ event: 'upgrade_refused', masterPid: pid },
        `USR2: an upgrade (to pid ${pid}) is not finished: commit it or roll it back first`);
      return;
    }
    if (this.#stage !== Stage.Running || this.#reloading !== null) return;
    this.#signals.take('upgrade');
    try {
      this.#upgrade = new Upgrade(this.#office, this.#crew);
    } catch (error) {
      this.#log.error({ event: 'upgrade_failed', why: systemReason(error) },
        `the upgrade cannot be started: ${systemReason(error)}`);
    }
  }

  #continueUpgrade(): void {
    const upgrade = this.#upgrade;
    if (upgrade === null) return;
    // HUP to this master and QUIT to the new one may be seen together: the way back comes first.
    if (upgrade.stage === UpgradeStage.Window && this.#signals.has('reload')) this.#reload();
    upgrade.continue();
    if (upgrade.isDone) return this.#leaveIfDue(upgrade);
    if (upgrade.stage >= UpgradeStage.Recalling) this.#dropWhatWaited(upgrade);
    if (upgrade.stage !== UpgradeStage.Over) return;
    this.#upgrade = null;
    this.#wake();
  }

  /** What was to be done when the upgrade is complete, which it will not be. */
  #dropWhatWaited({ isSuccessorStopping }: Upgrade): void {
    this.#signals.drop('commit', 'commit_not_done', 'WINCH: there is nothing to commit');
    if (isSuccessorStopping) return; // whoever stops both wants Baton to stop
    this.#signals.drop('quit', 'quit_not_done',
      'QUIT was for the end of the upgrade, which failed: this master goes on');
  }

  /** The new master is in charge: is there anything left to stay for? */
  #leaveIfDue(upgrade: Upgrade): void {
    const { stage, isSuccessorStopping, hasSuccessorEnded, isWindowOver } = upgrade;
    if (stage === UpgradeStage.Window && isSuccessorStopping) {
      upgrade.commit('the new master was told to stop');
    }
    if (upgrade.stage !== UpgradeStage.Committed) return;
    if (isSuccessorStopping || hasSuccessorEnded || isWindowOver) this.#leave(upgrade);
  }

  /** WINCH. A terminal sends it whenever its window changes. */
  #commit(): void {
    const isMeant = this.#office.isBackground || !native.processHasTerminal();
    const upgrade = this.#upgrade;
    if (!isMeant || upgrade === null) {
      this.#signals.take('commit');
      this.#log.debug({ event: 'signal_ignored', signal: 'WINCH' }, 'WINCH is ignored');
    } else if (upgrade.isDone) {
      this.#signals.take('commit');
      upgrade.commit('WINCH');
    } else {
      this.#signals.postpone('commit', 'commit_waits',
        'WINCH: the upgrade is committed when it is complete');
    }
  }

  // --- upgrade, as the new master ---

  #continueSuccession(): void {
    const succession = this.#succession;
    if (succession === null) return;
    succession.continue();
    this.#crew = succession.crew;
    if (succession.mustEnd) return this.#standDown(succession);
    if (!succession.isOver) return;
    this.#succession = null;
    if (succession.isAdoption) this.options.onUp();
    if (succession.isBehind) this.#signals.raise('reload');
    this.#wake();
  }

  /** The old master serves (again), or orphans do. */
  #standDown(succession: Succession): void {
    if (this.#isLeaving) return;
    this.#exitCode = succession.hasFailed ? ExitCode.Failed : ExitCode.Ok;
    this.#log.info({ event: 'standing_down' }, succession.isAdoption
      ? 'the workers of the dead master serve on, this master ends'
      : 'the old version goes on, this master ends');
    this.#standAside('SIGTERM');
  }

  // --- the end ---

  /** Whether a stop that was asked for may begin now. During an upgrade there are two masters. */
  #mayStop(): boolean {
    if (this.#succession !== null) return this.#succession.mayStop();
    const upgrade = this.#upgrade;
    if (upgrade === null || this.#signals.has('terminate')) return true;
    if (upgrade.isDone || upgrade.stage >= UpgradeStage.Returned) return true;
    if (upgrade.stage >= UpgradeStage.Recalling) return false; // soon
    this.#signals.postpone('quit', 'quit_waits',
      'QUIT: this master ends when the upgrade is complete');
    return false;
  }

  #quit(): void {
    if (this.#upgrade?.isDone === true) return this.#leave(this.#upgrade);
    this.#stage = Stage.Quitting;
    this.#log.info({ event: 'quitting' }, 'stopping: the workers finish what is in flight');
    this.#beginStop('SIGQUIT');
    this.#patience.begin(this.#settings.global.workerShutdownTimeoutMs);
  }

  #continueQuitting(): void {
    if (!this.#patience.takeOver()) return;
    if (this.#isLeaving) this.#standAside('SIGKILL');
    else this.#terminate('worker_shutdown_timeout');
  }

  #terminate(why: string): void {
    if (this.#upgrade?.isDone === true) return this.#leave(this.#upgrade);
    this.#stage = Stage.Terminating;
    this.#log.info({ event: 'terminating', why }, `stopping now: ${why}`);
    this.#beginStop('SIGTERM');
    this.#patience.begin(KILL_AFTER_MS);
  }

  #continueTermination(): void {
    if (!this.#patience.takeOver()) return;
    for (const crew of this.#crews()) crew.end('SIGKILL');
    this.#succession?.clearAway('SIGKILL');
    this.#upgrade?.stop('SIGKILL');
  }

  #beginStop(signal: 'SIGQUIT' | 'SIGTERM'): void {
    this.#succession?.clearAway(signal);
    this.#office.close();
    this.#reloading?.stop();
    this.#upgrade?.stop(signal);
    for (const crew of this.#crews()) crew.end(signal);
    this.#wake();
  }

  /** The upgrade is committed and the new master goes on without this one. */
  #leave(upgrade: Upgrade): void {
    upgrade.commit('QUIT');
    this.#log.info({ event: 'leaving', masterPid: upgrade.pid },
      `the new master (pid ${upgrade.pid}) goes on, this one ends`);
    upgrade.leave();
    this.#standAside('SIGTERM');
  }

  /** Ends the workers of a master that another one goes on without: they own nothing. */
  #standAside(signal: NodeJS.Signals): void {
    this.#stage = Stage.Quitting;
    this.#isLeaving = true;
    for (const crew of this.#crews()) crew.end(signal);
    this.#patience.begin(STAND_DOWN_PATIENCE_MS);
    this.#wake();
  }

  #hasAllEnded(): boolean {
    const isUpgradeOver = this.#upgrade === null || this.#upgrade.hasSuccessorEnded;
    const isAnyLeft = !this.#isLeaving && this.#succession?.hasBuried === false;
    return this.#crews().every((crew) => crew.hasEnded) && !isAnyLeft
      && (isUpgradeOver || this.#upgrade!.isDone);
  }

  #end(): void {
    this.#stage = Stage.Ended;
    this.#patience.begin(null);
    this.#succession?.close();
    this.#office.ejection.close();
    const { isHeld, house } = this.#office;
    // Of an upgrade that ended with everything else: the file may hold the new master's pid.
    if (isHeld && this.#upgrade !== null) house.pidFile?.comeBack();
    void (isHeld ? house.close() : house.leave()).then(() => {
      this.#log.info({ event: 'stopped' },
        isHeld ? 'Baton has stopped' : 'this master has ended, another goes on');
      this.#office.parent?.ended(this.#exitCode);
      this.#onEnded(this.#exitCode);
    });
  }
}
