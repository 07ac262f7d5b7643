/** What a new master prepares once its house stands: its configuration, beside the running one. */
import { OperatorError } from '../base/errors.js';
import { findRestartOnly } from '../config/reload.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { workerCount } from './worker-count.js';
import type { Handover } from './handover.js';
import type { Office } from './office.js';
import { keepRestartOnly, keepWorkers } from './reload.js';
import { Succession } from './succession.js';

/** Throws OperatorError; nothing has moved then. */
export function prepareSuccession(
  office: Office, settings: Settings, handover: Handover,
): Succession {
  const { instance, listeners } = office.house;
  sayColumns(office);
  const running = instance.roster.settings;
  if (!instance.isHalfFree()) {
    if (handover.channelFd === null) return succeedAsIs(office, handover);
    throw new OperatorError('half-used', ['the workers of an earlier configuration still run']);
  }
  if (handover.channelFd === null) sayRestartOnly(office, settings);
  const kept = keepWorkers(running, keepRestartOnly(running, settings), office.log);
  const roster = instance.nextRoster(kept);
  const change = listeners.change(roster, workerCount(kept));
  // Standard error was a pipe to the old master, who ends one day; from now on there is the log.
  if (handover.isBackground) native.processDetach();
  return new Succession(office, handover, instance.write(roster), change);
}

/**
 * A master died while lanes went from one configuration to another: both halves are in use. All of
 * them come to the newer one; what the file says is a reload of its own then.
 */
function succeedAsIs(office: Office, handover: Handover): Succession {
  const { instance, listeners } = office.house;
  const { current } = instance;
  const change = listeners.change(current.roster, workerCount(current.roster.settings));
  return new Succession(office, handover, current, change);
}

function sayRestartOnly({ house, log }: Office, settings: Settings): void {
  for (const line of findRestartOnly(house.instance.roster.settings, settings)) {
    log.warn({ event: 'conf_restart_only' }, line);
  }
}

/** What this version has changed in shared memory, and whether that can be undone. */
function sayColumns({ house, log }: Office): void {
  const { verdict } = house.instance.segment;
  if (verdict === null || verdict.change === 'same') return;
  const { columns, noWayBack } = verdict;
  log.info({ event: 'columns_changed' }, `shared memory: ${columns.join(', ') || verdict.change}`);
  if (noWayBack !== '') log.warn({ event: 'no_roll_back' }, `no roll back: ${noWayBack}`);
}
