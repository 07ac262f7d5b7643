/**
 * Looks after workers that were children of masters who are dead: nobody else would.
 *
 *   it has ended                          its row says so: a claimant believes only that
 *   it owns nothing, and does not end     killed after some patience
 *   it owns a lane, but takes no turns    likewise: the lane's next owner repairs it
 */
import type { Logger } from '../base/log.js';
import { birthOf, titleOf } from '../base/process-state.js';
import type { Instance } from './instance.js';
import type { WorkerRow } from './lane-rows.js';

const LOOK_EVERY_MS = 50;
/** A worker that lives takes a turn ten times a second, and one that owns nothing ends sooner. */
const PATIENCE_MS = 5000;

interface Seen {
  readonly birth: string;
  readonly turns: number; // of the lane that it owns; -1: none
  readonly since: number; // monotonic ms
}

export class Undertaker {
  readonly #seen = new Map<number, Seen>(); // by row
  #timer: NodeJS.Timeout | null = null;

  /** `changed` is called when one of the workers has ended. */
  constructor(
    private readonly instance: Instance, private readonly log: Logger,
    private readonly changed: () => void,
  ) {}

  /** Buries these masters' workers as they die, until none is left. Keeps no process alive. */
  attend(masters: ReadonlySet<number>): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const before = this.#seen.size;
    const isOver = this.bury(masters);
    if (isOver || this.#seen.size !== before) this.changed();
    if (!isOver) this.#timer = setTimeout(() => this.attend(masters), LOOK_EVERY_MS).unref();
  }

  /** Marks the dead ones of these masters' workers. True when none of them lives any more. */
  bury(masters: ReadonlySet<number>): boolean {
    let living = 0;
    for (const each of this.#workersOf(masters)) {
      if (this.#isRunning(each)) {
        living++;
        continue;
      }
      this.#seen.delete(each.row);
      this.instance.markDead(each.row);
      this.instance.freeWorker(each.row);
    }
    return living === 0;
  }

  /** They end with Baton as a whole. */
  end(masters: ReadonlySet<number>, signal: NodeJS.Signals): void {
    for (const each of this.#workersOf(masters)) if (this.#isRunning(each)) send(each.pid, signal);
  }

  #workersOf(masters: ReadonlySet<number>): WorkerRow[] {
    return this.instance.workers().filter(({ masterPid }) => masters.has(masterPid));
  }

  /** Whether its process is there, is more than a zombie, and is Baton's. Kills one that hangs. */
  #isRunning({ row, pid, lane }: WorkerRow): boolean {
    const birth = pid === 0 || !titleOf(pid).startsWith('baton') ? null : birthOf(pid);
    const seen = this.#seen.get(row);
    if (birth === null || (seen !== undefined && seen.birth !== birth)) return false;
    const { instance } = this;
    const isOwner = lane >= 0 && instance.owner(lane)?.worker === row;
    const turns = isOwner ? instance.turns(lane) : -1;
    const now = performance.now();
    if (seen === undefined || seen.turns !== turns) {
      this.#seen.set(row, { birth, turns, since: now });
    } else if (now - seen.since > PATIENCE_MS) {
      this.#seen.set(row, { ...seen, since: now });
      this.log.error({ event: 'orphan_killed', worker: lane, workerPid: pid },
        `worker ${lane} (pid ${pid}) of a dead master stands still: it is killed`);
      send(pid, 'SIGKILL');
    }
    return true;
  }
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended since.
  }
}
