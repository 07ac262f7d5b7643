/**
 * HUP, as far as it can be thought through before anything moves: the new file is read and
 * checked, and what only a restart can change keeps the value it has.
 */
import { OperatorError } from '../base/errors.js';
import type { Logger } from '../base/log.js';
import { directivesOf, type Scope } from '../config/directives.js';
import { findRestartOnly } from '../config/reload.js';
import { ConfigError } from '../config/remarks.js';
import type { Settings } from '../config/settings.js';
import { workerCount } from './worker-count.js';
import { placeOf } from './place.js';

export interface Loaded {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

/** The settings to go on with; null when the file is not usable, all mistakes being logged. */
export function loadAgain(load: () => Loaded, running: Settings, log: Logger): Settings | null {
  let loaded: Loaded;
  try {
    loaded = load();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    refuse(error.mistakes, log);
    return null;
  }
  for (const line of loaded.warnings) log.warn({ event: 'conf_warning' }, line);
  for (const line of findRestartOnly(running, loaded.settings)) {
    log.warn({ event: 'conf_restart_only' }, line);
  }
  return keepWorkers(running, keepRestartOnly(running, loaded.settings), log);
}

/** Sessions cannot move between lanes, so no lane can end before a restart. */
export function keepWorkers(running: Settings, next: Settings, log: Logger): Settings {
  const lanes = workerCount(running);
  const asked = workerCount(next);
  if (asked >= lanes) return next;
  log.error({ event: 'workers_not_removed', workers: lanes, asked },
    `${placeOf(next, 'worker_processes')}: stays ${lanes}, a reload does not take workers away ` +
    `(${asked} asked for): restart to have fewer; the rest of the configuration is applied`);
  return { ...next, global: { ...next.global, workerProcesses: lanes } };
}

/** Logs why a reload is not done. */
export function refuse(reasons: readonly string[], log: Logger): void {
  for (const line of reasons) log.error({ event: 'conf_mistake' }, line);
  log.error({ event: 'reload_refused', mistakes: reasons.length },
    'the configuration is not reloaded, the running one stays');
}

/** Lines of an error that the operator can do something about; throws any other on. */
export function reasonsOf(error: unknown): readonly string[] {
  if (error instanceof OperatorError) return error.lines;
  throw error;
}

/** `next` with the running values of the directives that a reload does not change. */
export function keepRestartOnly(running: Settings, next: Settings): Settings {
  const pools = next.pools.map((pool) => {
    const old = running.pools.find(({ name }) => name === pool.name);
    const isNew = old === undefined || old.listen.text !== pool.listen.text;
    return isNew ? pool : keep('pool', old, pool);
  });
  return { ...next, global: keep('global', running.global, next.global), pools };
}

function keep<T extends object>(scope: Scope, running: T, next: T): T {
  const kept = directivesOf(scope)
    .filter(({ reload, type }) => !reload && type.kind !== 'list')
    .map(({ field }) => [field, running[field as keyof T]]);
  return { ...next, ...Object.fromEntries(kept) as Partial<T> };
}
