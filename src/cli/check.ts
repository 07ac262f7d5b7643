/** -t, -T and --diff: look at a configuration file without starting anything. */
import { OperatorError } from '../base/errors.js';
import { printSettings } from '../config/print.js';
import type { Settings } from '../config/settings.js';
import { crashDirMistakes } from '../master/crash-reports.js';
import type { Loaded } from '../master/reload.js';
import { noSurvival } from '../master/no-survival.js';
import { readRunning } from '../master/running-instance.js';
import { settingsDiff } from '../master/settings-diff.js';
import type { Wanted } from './args.js';
import { findMaster, whichOne } from './control.js';

/** Lines for standard output, and remarks for standard error. */
export interface Findings {
  readonly out: string;
  readonly remarks: readonly string[];
}

/**
 * Throws OperatorError when workers could not write their crash reports, and when --diff has
 * nothing to compare with for reasons of the operator's.
 */
export function check(wanted: Wanted, { settings, warnings }: Loaded): Findings {
  const mistakes = crashDirMistakes(settings);
  if (mistakes.length > 0) throw new OperatorError('crash-dir', mistakes);
  const printed = wanted.action === 'print' ? printSettings(settings) : '';
  const diff = wanted.diff ? diffWithRunning(settings) : { out: '', remarks: [] };
  return {
    out: printed + diff.out,
    remarks: [
      ...[...warnings, ...noSurvivalLines()].map((line) => `warning: ${line}`),
      ...diff.remarks,
      `baton: configuration file ${wanted.confFile} test is successful`,
    ],
  };
}

function noSurvivalLines(): string[] {
  const line = noSurvival();
  return line === null ? [] : [line];
}

/** What a reload with these settings would change of the instance that their pid file names. */
function diffWithRunning(settings: Settings): Findings {
  const pidFile = settings.global.pid ?? whichOne('--diff');
  let pid: number;
  try {
    ({ pid } = findMaster(pidFile));
  } catch (error) {
    if (!(error instanceof OperatorError)) throw error;
    return nothing(error.message);
  }
  const running = readRunning(pid);
  if (running === null) return nothing(`pid ${pid} is about to end`);
  const upgrade = running.noUpgrade === '' ? [] : [`baton: upgrade: ${running.noUpgrade}`];
  if (running.roster === null) return { out: '', remarks: upgrade };
  const lines = settingsDiff(running.roster.settings, settings);
  const rollBack = running.noRollBack === '' ? []
    : [`baton: an upgrade could not be rolled back: ${running.noRollBack}`];
  const none = lines.length === 0 ? [`baton: nothing would change (pid ${pid} runs)`] : [];
  return {
    out: lines.map((line) => `${line}\n`).join(''),
    remarks: [...none, ...upgrade, ...rollBack],
  };
}

function nothing(why: string): Findings {
  return { out: '', remarks: [`baton: nothing to compare with: ${why}`] };
}
