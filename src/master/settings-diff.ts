/**
 * What a reload would change, in lines: for `-t --diff`, and for the log when it happens. Here,
 * because configuration and routing do not see each other.
 */
import { diffLines, diffSettings } from '../config/diff.js';
import type { Settings } from '../config/settings.js';
import { movedShare } from '../routing/key-share.js';
import { workerCount } from './worker-count.js';

/** One line for each change; none when nothing changes. */
export function settingsDiff(running: Settings, next: Settings): string[] {
  const diff = diffSettings(running, next, movedShare);
  const isRefused = workerCount(next) < workerCount(running); // lanes are not taken away
  const directives = diff.directives.map((change) =>
    (change.name === 'worker_processes' && isRefused ? { ...change, isApplied: false } : change));
  return diffLines({ ...diff, directives });
}
