/**
 * What a worker does when its master is gone. Clients must not notice.
 *
 *   a master can come and adopt it    serves on; once nothing is its own (any more), it ends; a
 *                                     standby stands by, until another master has workers
 *   nobody could find it, or take     ends, unless another master's worker waits for its lane, as
 *   its connections over              during an upgrade: then when that one has taken it
 */
import { isAlive } from '../base/alive.js';
import type { WorkerOrder } from '../base/worker-order.js';
import { native } from '../native/binding.js';
import { WorkerState } from '../shm/codes.js';
import { WORKERS_MAX } from '../shm/plan.js';
import type { Segment } from '../shm/segment.js';
import { Lane, TableNumber, Worker } from '../tables/columns.gen.js';

const LOOK_EVERY_MS = 250;
/** How long an heir may take. */
const PATIENCE_MS = 30_000;
const SIGHUP = 1;

export interface OrphanSteps {
  isOwner(): boolean; // of its lane
  lane(): number | null; // its own; null: it stands by for any
  mayBeAdopted(): boolean;
  end(): void;
}

export class Orphan {
  constructor(
    private readonly order: WorkerOrder, private readonly segment: Segment,
    private readonly steps: OrphanSteps,
  ) {}

  /** From now on its master's death is noticed. Ends at once if he is dead already. */
  watch(): void {
    process.on('SIGHUP', () => {
      if (process.ppid !== this.order.masterPid) this.#outlive();
    });
    if (native.processParentDeath(SIGHUP) !== this.order.masterPid) this.steps.end();
  }

  #outlive(): void {
    const until = performance.now() + PATIENCE_MS;
    const look = (): void => {
      const isNeeded = this.steps.mayBeAdopted() ? this.#isUsed()
        : this.#hasHeir() && performance.now() < until;
      if (!isNeeded) this.steps.end();
      setTimeout(look, LOOK_EVERY_MS);
    };
    look();
  }

  #isUsed(): boolean {
    const lane = this.steps.lane();
    if (lane === null) return !this.#workers().some(({ master }) => this.#isOther(master));
    return this.steps.isOwner() || this.#isKeeping(lane);
  }

  /** Its keeper answers for the lane, until the one of the next owner does. */
  #isKeeping(lane: number): boolean {
    const at = this.segment.wordBase(TableNumber.Lane) + lane * Lane.RowWords;
    return this.segment.shared.words[at + Lane.Keeper] === this.order.worker;
  }

  /** Whether a worker of a master that lives is there for this lane, or about to be. */
  #hasHeir(): boolean {
    const own = this.steps.lane();
    return this.#workers().some(({ state, lane, master }) => {
      const isWaiting = state === WorkerState.Starting || state === WorkerState.Ready
        || state === WorkerState.Frozen;
      return isWaiting && lane === own && this.#isOther(master);
    });
  }

  #isOther(master: number): boolean {
    return master !== this.order.masterPid && isAlive(master);
  }

  #workers(): { state: WorkerState; lane: number; master: number }[] {
    const { words } = this.segment.shared;
    return Array.from({ length: WORKERS_MAX }, (_, row) => {
      const at = this.segment.wordBase(TableNumber.Worker) + row * Worker.RowWords;
      return {
        state: words[at + Worker.State]! as WorkerState, lane: words[at + Worker.Lane]!,
        master: words[at + Worker.MasterPid]!,
      };
    }).filter(({ state }) => state !== WorkerState.Free);
  }
}
