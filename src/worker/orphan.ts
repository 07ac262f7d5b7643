/**
 * What a worker does when its master is gone. Clients must not notice, as long as somebody is there
 * who will take the lane: another master's worker that waits for it, as during an upgrade. Without
 * such a worker nobody could ever reload or stop this one, so it ends.
 */
import { isAlive } from '../base/alive.js';
import type { WorkerOrder } from '../base/worker-order.js';
import { native } from '../native/binding.js';
import { WorkerState } from '../shm/codes.js';
import { WORKERS_MAX } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import { TableNumber, Worker } from '../tables/columns.gen.js';

const LOOK_EVERY_MS = 250;
/** How long an heir may take. */
const PATIENCE_MS = 30_000;
const SIGHUP = 1;

export class Orphan {
  constructor(private readonly order: WorkerOrder, private readonly segment: Segment) {}

  /** Calls `end` when the master has died and nobody takes the lane over. */
  watch(end: () => void): void {
    process.on('SIGHUP', () => {
      if (process.ppid !== this.order.masterPid) this.#wait(end);
    });
    if (native.processParentDeath(SIGHUP) !== this.order.masterPid) end();
  }

  #wait(end: () => void): void {
    const until = performance.now() + PATIENCE_MS;
    const timer = setInterval(() => {
      if (this.#hasHeir() && performance.now() < until) return;
      clearInterval(timer);
      end();
    }, LOOK_EVERY_MS);
  }

  /** Whether a worker of a master that lives is there for this lane, or about to be. */
  #hasHeir(): boolean {
    const { words } = this.segment.shared;
    for (let row = 1; row < WORKERS_MAX; row++) {
      const at = this.segment.wordBase(TableNumber.Worker) + row * Worker.RowWords;
      const state = words[at + Worker.State] as WorkerState;
      const isWaiting = state === WorkerState.Starting || state === WorkerState.Ready
        || state === WorkerState.Frozen;
      const master = words[at + Worker.MasterPid]!;
      if (!isWaiting || words[at + Worker.Lane] !== this.order.lane) continue;
      if (master !== this.order.masterPid && isAlive(master)) return true;
    }
    return false;
  }
}
