/** How many workers, and so lanes, a configuration asks for. */
import { availableParallelism } from 'node:os';
import type { Settings } from '../config/settings.js';
import { LANES_MAX } from '../shm/plan.js';

export function workerCount(settings: Settings): number {
  const { workerProcesses } = settings.global;
  if (workerProcesses !== 'auto') return workerProcesses;
  return Math.min(availableParallelism(), LANES_MAX);
}
