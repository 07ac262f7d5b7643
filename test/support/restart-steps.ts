/**
 * Half-way through hot restarts: an upgrade that is let go on until a step can be seen, where a test
 * does its worst, and until the instance is at rest again, whatever has become of it.
 *
 *   exec ─► starting ─► ready ─► canary ─► served
 */
import { WorkerState } from '../../src/shm/codes.js';
import type { Baton } from './baton.js';
import { count, isAlone, isServedBy, masters, reached, rollBack } from './hot-restart.js';
import type { WorkerRow } from './memory-view.js';

/** What can be seen of an upgrade; `old` is the master that got USR2. */
export type Step = 'exec' | 'starting' | 'ready' | 'canary' | 'served';

export function newWorkers(baton: Baton, old: number): WorkerRow[] {
  return baton.crew().filter(({ masterPid, pid }) => masterPid !== old && pid !== 0);
}

const STEPS: { readonly [step in Step]: (baton: Baton, old: number) => boolean } = {
  exec: (baton) => masters(baton).length === 2,
  starting: (baton, old) => newWorkers(baton, old).length > 0,
  ready: (baton, old) => {
    const workers = newWorkers(baton, old);
    return workers.length === 2 && workers.every(({ state }) => state >= WorkerState.Ready);
  },
  canary: (baton, old) => newWorkers(baton, old).some(({ state }) => state === WorkerState.Serving),
  served: (baton) => isServedBy(baton, baton.pidIn(baton.pidFile) ?? 0)
    && count(baton, 'upgraded') > 0,
};

/** USR2, and on until the step can be seen. Returns the new master's pid. */
export async function upgradeTo(baton: Baton, step: Step): Promise<number> {
  const old = baton.pid;
  const upgradedBefore = count(baton, 'upgraded');
  process.kill(old, 'SIGUSR2');
  await reached(baton, step, () => STEPS[step](baton, old)
    && (step !== 'served' || count(baton, 'upgraded') > upgradedBefore));
  return masters(baton).find((pid) => pid !== old) ?? 0;
}

/** Either outcome is right, but one it must be; if the new master has won, it gives everything back. */
export async function comeToRest(baton: Baton, old: number): Promise<void> {
  await reached(baton, 'one master to have all lanes', () => {
    const pid = baton.pidIn(baton.pidFile);
    if (pid === null || !isServedBy(baton, pid)) return false;
    return pid === old ? masters(baton).length === 1 && isAlone(baton)
      : baton.pidIn(baton.oldPidFile) === old && count(baton, 'upgraded') > 0;
  });
  if (baton.pid !== old) await rollBack(baton);
}
