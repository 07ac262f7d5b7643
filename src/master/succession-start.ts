/** What a new master prepares once its house stands: its configuration, beside the running one. */
import { OperatorError } from '../base/errors.js';
import type { Settings } from '../config/settings.js';
import { native } from '../native/binding.js';
import { workerCount } from './capacities.js';
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
    throw new OperatorError('half-used', ['the workers of an earlier configuration still run']);
  }
  const kept = keepWorkers(running, keepRestartOnly(running, settings), office.log);
  const roster = instance.nextRoster(kept);
  const change = listeners.change(roster, workerCount(kept));
  // Standard error was a pipe to the old master, who ends one day; from now on there is the log.
  if (handover.isBackground) native.processDetach();
  return new Succession(office, handover, instance.write(roster), change);
}

/** What this version has changed in shared memory, and whether that can be undone. */
function sayColumns({ house, log }: Office): void {
  const { verdict } = house.instance.segment;
  if (verdict === null || verdict.change === 'same') return;
  const { columns, noWayBack } = verdict;
  log.info({ event: 'columns_changed' }, `shared memory: ${columns.join(', ') || verdict.change}`);
  if (noWayBack !== '') log.warn({ event: 'no_roll_back' }, `no roll back: ${noWayBack}`);
}
