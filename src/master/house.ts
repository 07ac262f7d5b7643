/**
 * What a master holds while it runs, opened in this order and closed in the reverse one:
 *
 *   log ─ limits ─ pid file's lock ─ shared memory ─ listening sockets, statistics ─ pid file
 *
 * Whatever cannot be had is the operator's to correct; as much of it as possible is told at once.
 */
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { startAdmin, type Admin } from '../admin/server.js';
import { OperatorError, systemCode, systemReason } from '../base/errors.js';
import { Log } from '../base/log.js';
import { REDIS_VERSION, VERSION } from '../base/version.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { commands } from '../protocol/command-table.js';
import { workerCount } from './capacities.js';
import { Instance } from './instance.js';
import { Listeners, type Tell } from './listeners.js';
import { PidFile } from './pid-file.js';
import { placeOf } from './place.js';
import { identityOf } from './spawn.js';

export class House {
  readonly doorbell = native.processDoorbell();

  private constructor(
    readonly log: Log,
    readonly pidFile: PidFile | null,
    readonly instance: Instance,
    readonly listeners: Listeners,
    private readonly admin: Admin,
  ) {}

  /** Throws OperatorError; then nothing is left behind. */
  static async open(settings: Settings): Promise<House> {
    const undo: (() => unknown)[] = [];
    try {
      const log = openLog(settings);
      const warn: Tell = (event, facts, message) => log.to.warn({ event, ...facts }, message);
      const info: Tell = (event, facts, message) => log.to.info({ event, ...facts }, message);
      const openFilesMax = applyLimits(settings, warn);
      const { pid } = settings.global;
      const pidFile = pid === null ? null : PidFile.lock(resolve(pid));
      if (pidFile !== null) undo.push(() => pidFile.close());

      const instance = Instance.create(settings, {
        pidFile: pidFile?.path ?? null, openFilesMax,
        warn: (event, message) => warn(event, {}, message),
      });
      undo.push(() => instance.close());
      const listeners = new Listeners(workerCount(settings), { info, warn });
      undo.push(() => listeners.close());
      const admin = await openAll(settings, log, instance, listeners, undo);
      pidFile?.write(process.pid);
      return new House(log, pidFile, instance, listeners, admin);
    } catch (error) {
      for (const step of undo.reverse()) await step();
      throw error;
    }
  }

  /** Gives everything back. The log stays usable. */
  async close(): Promise<void> {
    await this.admin.close();
    this.abandon();
    native.socketClose(this.doorbell);
  }

  /** Removes what would outlive the process, without waiting for anything. */
  abandon(): void {
    this.listeners.close();
    this.instance.close();
    this.pidFile?.close();
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

async function openAll(
  settings: Settings, log: Log, instance: Instance, listeners: Listeners,
  undo: (() => unknown)[],
): Promise<Admin> {
  const mistakes = identityMistakes(settings);
  if (mistakes.length === 0) giveTo(settings, log, instance);
  const attempt = async <T>(open: () => T | Promise<T>): Promise<T | null> => {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof OperatorError)) throw error;
      mistakes.push(...error.lines);
      return null;
    }
  };
  await attempt(() => listeners.open(settings));
  const facts = {
    version: VERSION, redisVersion: REDIS_VERSION, host: hostname(),
    commandNames: commands.map(({ name }) => name),
  };
  const admin = await attempt(() =>
    startAdmin({ settings, counters: instance.counters, facts, log: log.to }));
  if (admin !== null) undo.push(() => admin.close());
  if (mistakes.length > 0 || admin === null) throw new OperatorError('cannot-open', mistakes);
  return admin;
}

function giveTo(settings: Settings, log: Log, instance: Instance | null): void {
  const { user, group } = identityOf(settings.global);
  if (user === undefined) return;
  const { uid, gid } = native.processIdentity(user, group ?? null);
  log.giveTo(uid, gid);
  instance?.giveTo(uid, gid);
}
