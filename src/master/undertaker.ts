/**
 * Says in shared memory that workers are dead which were another master's children: nobody else
 * would, when he is dead himself. A claimant believes that an owner is dead only if its row says so.
 */
import { readFileSync } from 'node:fs';
import type { Instance } from './instance.js';

const LOOK_EVERY_MS = 50;

export class Undertaker {
  constructor(private readonly instance: Instance) {}

  /** Buries this master's workers as they die, until none is left. Keeps no process alive. */
  attend(masterPid: number): void {
    if (this.bury(masterPid)) return;
    setTimeout(() => this.attend(masterPid), LOOK_EVERY_MS).unref();
  }

  /** Marks the dead ones of this master's workers. True when none of them lives any more. */
  bury(masterPid: number): boolean {
    const { instance } = this;
    const rows = instance.workers().filter((row) => row.masterPid === masterPid);
    let living = 0;
    for (const { row, pid } of rows) {
      if (pid !== 0 && isRunning(pid)) {
        living++;
        continue;
      }
      instance.markDead(row);
      instance.freeWorker(row);
    }
    return living === 0;
  }
}

/** Whether a process is there that is more than a zombie, and Baton's. */
function isRunning(pid: number): boolean {
  try {
    // A zombie has no command line any more.
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').startsWith('baton');
  } catch {
    return false;
  }
}
