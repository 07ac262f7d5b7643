/** Whether the kernel lets a worker's connections outlive it (native/keeper.h). */
import { getSystemErrorName } from 'node:util';
import { native } from '../native/binding.js';

/** Null when it does; else what to tell the operator. */
export function noSurvival(): string | null {
  const failed = native.processProbeKeeper();
  if (failed === 0) return null;
  return `crash survival is off: the kernel forbids clone(CLONE_FILES) (${
    getSystemErrorName(failed)}; seccomp?): connections end with their worker, workers with their ` +
    'master, and neither a reload nor an upgrade can take sessions over';
}
