/**
 * What a master holds while it runs, opened in this order and closed in the reverse one:
 *
 *   log ─ limits ─ pid file's lock ─ shared memory ─ listening sockets, statistics ─ pid file
 *
 * A first master makes all of it; one that takes another's place inherits everything from the lock
 * on. Whatever cannot be had is the operator's to correct; as much of it as possible is told at
 * once. The last master removes what would outlive it, one that others follow only lets go.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { startAdmin, type Admin, type AdminHandover } from '../admin/server.js';
import { OperatorError, systemCode, systemReason } from '../base/errors.js';
import { Log } from '../base/log.js';
import { REDIS_VERSION, VERSION } from '../base/version.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { commands } from '../protocol/command-table.js';
import { AdminSockets } from './admin-sockets.js';
import { adopt } from './adoption.js';
import { BuildCopy } from './build-copy.js';
import { workerCount } from './worker-count.js';
import { crashDirMistakes } from './crash-reports.js';
import type { Handover } from './handover.js';
import { Instance } from './instance.js';
import { LaneGears, type LaneGear } from './lane-gear.js';
import { Listeners, type Tell } from './listeners.js';
import { noSurvival } from './no-survival.js';
import { PidFile } from './pid-file.js';
import { placeOf } from './place.js';
import { keepRestartOnly } from './reload.js';
import { identityOf } from './spawn.js';

interface Belongings {
  readonly log: Log;
  readonly pidFile: PidFile | null;
  readonly instance: Instance;
  readonly listeners: Listeners;
  readonly admin: Admin;
  readonly gears: LaneGears;
  readonly build: BuildCopy;
  readonly handover: Handover | null;
}

export class House implements Belongings {
  readonly doorbell = native.processDoorbell();
  readonly log: Log;
  readonly pidFile: PidFile | null;
  readonly instance: Instance;
  readonly listeners: Listeners;
  readonly admin: Admin;
  readonly gears: LaneGears;
  readonly build: BuildCopy;
  readonly handover: Handover | null; // what it inherited; null: it made everything itself

  private constructor(belongings: Belongings) {
    this.log = belongings.log;
    this.pidFile = belongings.pidFile;
    this.instance = belongings.instance;
    this.listeners = belongings.listeners;
    this.admin = belongings.admin;
    this.gears = belongings.gears;
    this.build = belongings.build;
    this.handover = belongings.handover;
  }

  /**
   * Of a first master, or of one that finds what a dead one has left. Throws OperatorError; then
   * nothing is left behind that was not there.
   */
  static async open(settings: Settings): Promise<House> {
    const log = openLog(settings);
    const { pid } = settings.global;
    const pidFile = pid === null ? null : PidFile.lock(resolve(pid));
    const adopted = pidFile === null ? null : await adopt(settings, pidFile, tellsOf(log));
    if (adopted !== null) return House.inherit(settings, adopted, log);
    return House.#make(settings, log, pidFile);
  }

  static async #make(settings: Settings, log: Log, pidFile: PidFile | null): Promise<House> {
    const undo: (() => unknown)[] = [];
    if (pidFile !== null) undo.push(() => pidFile.close());
    try {
      const { warn, info } = tellsOf(log);
      const openFilesMax = applyLimits(settings, warn);
      warnOfDeaths(warn);
      const instance = Instance.create(settings, {
        pidFile: pidFile?.path ?? null, openFilesMax,
        warn: (event, message) => warn(event, {}, message),
      });
      undo.push(() => instance.close());
      const listeners = new Listeners({ info, warn });
      undo.push(() => listeners.close());
      const admin = openAll(settings, log, instance, listeners);
      undo.push(() => admin.close());
      const build = BuildCopy.make((line) => warn('build_not_copied', {}, line));
      undo.push(() => build.close());
      pidFile?.write(process.pid);
      const gears = gearsOf(instance, warn, []);
      return new House({ log, pidFile, instance, listeners, admin, gears, build, handover: null });
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  /**
   * Of a master that takes another's place: `settings` are those of the file, `running` says which
   * of them cannot change. Throws OperatorError; what was inherited is as before then.
   */
  static async inherit(
    settings: Settings, handover: Handover, log = openLog(settings),
  ): Promise<House> {
    const { warn, info } = tellsOf(log);
    const openFilesMax = applyLimits(settings, warn);
    warnOfDeaths(warn);
    const { shm, pidFile } = handover;
    const instance = Instance.attach(shm, { openFilesMax });
    const kept = keepRestartOnly(instance.roster.settings, settings);
    const mistakes = [...workerMistakes(kept), ...instance.misfits(kept)];
    if (mistakes.length > 0) throw new OperatorError('cannot-upgrade', mistakes);
    giveTo(kept, log, instance);
    const listeners = new Listeners({ info, warn });
    listeners.inherit(handover.listeners);
    const admin = openAdmin(kept, log, instance, handover.admin);
    return new House({
      log, instance, listeners, admin, handover,
      pidFile: pidFile === null ? null : PidFile.inherit(pidFile.path, pidFile.lockFd),
      gears: gearsOf(instance, warn, handover.gears),
      build: BuildCopy.make((line) => warn('build_not_copied', {}, line)),
    });
  }

  /** The end of all: gives everything back. The log stays usable. */
  async close(): Promise<void> {
    await this.admin.close();
    this.listeners.close();
    this.instance.close();
    this.pidFile?.close();
    this.build.close();
    this.#letGo();
  }

  /** The end of this master, while another one goes on with everything. */
  async leave(): Promise<void> {
    await this.admin.close();
    this.listeners.release();
    this.pidFile?.leave();
    this.build.close();
    this.#letGo();
  }

  #letGo(): void {
    this.gears.close();
    native.socketClose(this.doorbell);
  }

  /** Follows what a reload has changed of the log and of who the workers are. */
  follow(settings: Settings): void {
    const { global } = settings;
    this.log.setLevel(global.logLevel);
    if (global.log !== this.log.file) this.log.reopen(global.log);
    giveTo(settings, this.log, this.instance);
  }

  /** Opens the log's file anew, for whoever renamed it; under `user`, the workers can do so too. */
  reopenLog(settings: Settings): void {
    try {
      this.log.reopen();
      giveTo(settings, this.log, null);
      this.log.to.info({ event: 'log_reopened' }, 'the log was opened anew');
    } catch (error) {
      this.log.to.error({ event: 'log_not_reopened' },
        `the log cannot be opened anew: ${systemReason(error)}`);
    }
  }
}

/** Every reason why `user` or `group` cannot be; empty when they can. */
export function identityMistakes(settings: Settings): string[] {
  const { user, group } = identityOf(settings.global);
  if (user === undefined) return [];
  try {
    native.processIdentity(user, group ?? null);
    return [];
  } catch (error) {
    const directive = (error as NodeJS.ErrnoException).syscall === 'getgrnam' ? 'group' : 'user';
    const name = directive === 'group' ? group : user;
    const isUnknown = systemCode(error) === 'ENOENT';
    const reason = isUnknown ? `there is no ${directive} "${name}"` : systemReason(error);
    return [`${placeOf(settings, directive)}: ${reason}`];
  }
}

/** The same, and why they could not report a crash. */
function workerMistakes(settings: Settings): string[] {
  const mistakes = identityMistakes(settings);
  return mistakes.length > 0 ? mistakes : crashDirMistakes(settings);
}

function openLog(settings: Settings): Log {
  const { log: file, logLevel: level } = settings.global;
  try {
    return new Log({ file, level, role: 'master' });
  } catch (error) {
    throw new OperatorError('log',
      [`${placeOf(settings, 'log')}: ${file} cannot be opened: ${systemReason(error)}`]);
  }
}

/** Returns how many files a worker may open. */
function applyLimits(settings: Settings, warn: Tell): number {
  const { global } = settings;
  const { soft, hard } = native.processLimits(global.maxOpenfiles);
  if (soft < global.maxOpenfiles) {
    warn('openfiles_capped', { openFilesMax: soft },
      `${placeOf(settings, 'max_openfiles')}: ${global.maxOpenfiles} is capped to ${hard} by the ` +
      'hard limit: raise it (ulimit -Hn)');
  }
  const isInVain = process.getuid!() !== 0 && (global.user !== null || global.group !== null);
  if (isInVain) {
    warn('user_ignored', {}, `${placeOf(settings, global.user === null ? 'group' : 'user')}: ` +
      'has no effect, only a master that runs as root can change it');
  }
  return soft;
}

/** A first master's sockets; every mistake is told together. */
function openAll(
  settings: Settings, log: Log, instance: Instance, listeners: Listeners,
): Admin {
  const mistakes = workerMistakes(settings);
  if (mistakes.length === 0) giveTo(settings, log, instance);
  const attempt = <T>(open: () => T): T | null => {
    try {
      return open();
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      mistakes.push(...error.lines);
      return null;
    }
  };
  const roster = instance.nextRoster(settings);
  attempt(() => listeners.change(roster, workerCount(settings)).finish());
  const admin = attempt(() => openAdmin(settings, log, instance, null));
  if (mistakes.length > 0 || admin === null) {
    void admin?.close();
    throw new OperatorError('cannot-open', mistakes);
  }
  return admin;
}

/** `inherited`: the ports of a master that still answers there; this one does so later. */
function openAdmin(
  settings: Settings, log: Log, instance: Instance, inherited: readonly AdminHandover[] | null,
): Admin {
  const facts = {
    version: VERSION, redisVersion: REDIS_VERSION, host: hostname(),
    commandNames: commands.map(({ name }) => name),
  };
  return startAdmin({
    settings, counters: instance.counters, facts, log: log.to, sockets: new AdminSockets(),
    ...(inherited === null ? {} : { inherited: [...inherited], isPaused: true }),
  });
}

/** Says so where the kernel forbids what connections survive deaths by. */
function warnOfDeaths(warn: Tell): void {
  const line = noSurvival();
  if (line !== null) warn('crash_survival_off', {}, line);
}

function gearsOf(instance: Instance, warn: Tell, inherited: readonly LaneGear[]): LaneGears {
  return new LaneGears(instance, (line) => warn('no_dock', {}, line), inherited);
}

function tellsOf(log: Log): { readonly warn: Tell; readonly info: Tell } {
  return {
    warn: (event, facts, message) => log.to.warn({ event, ...facts }, message),
    info: (event, facts, message) => log.to.info({ event, ...facts }, message),
  };
}

function giveTo(settings: Settings, log: Log, instance: Instance | null): void {
  const { user, group } = identityOf(settings.global);
  if (user === undefined) return;
  const { uid, gid } = native.processIdentity(user, group ?? null);
  log.giveTo(uid, gid);
  instance?.giveTo(uid, gid);
}
