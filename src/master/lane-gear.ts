/**
 * What belongs to a lane itself and not to who runs it: made once, by the first master that needs
 * the lane, and inherited by every worker and every master after him under the same meaning.
 *
 *   epoll    watches the lane's sockets, whoever owns the lane: a takeover registers nothing anew
 *   bell     an eventfd in that epoll: wakes the owner
 *   keeper ── claim    a socket pair: a claimant asks here, the lane's present keeper answers there
 *   dock     a listening socket by a name: a master that inherited nothing asks the keeper there
 */
import { systemReason } from '../base/errors.js';
import { native } from '../native/binding.js';

/** Descriptors of this process; close-on-exec, a child gets them by being given them. */
export interface LaneGear {
  readonly lane: number;
  readonly epollFd: number;
  readonly bellFd: number;
  readonly keeperFd: number;
  readonly claimFd: number;
  readonly dockFd?: number; // none: nobody could find it
}

export interface GearSource {
  /** The name of a lane's dock; null: this instance has no name, so nobody will look for it. */
  dockName(lane: number): string | null;
}

/** Those of a gear, under the names that they have there. */
export const GEAR_FDS = ['epollFd', 'bellFd', 'keeperFd', 'claimFd', 'dockFd'] as const;

export class LaneGears {
  readonly #gears = new Map<number, LaneGear>();

  /** `inherited`: those that the master before this one has made. */
  constructor(
    private readonly source: GearSource, private readonly warn: (line: string) => void,
    inherited: readonly LaneGear[] = [],
  ) {
    // A master of a version without docks has made none.
    for (const gear of inherited) {
      this.#gears.set(gear.lane, gear.dockFd === undefined ? this.#withDock(gear) : gear);
    }
  }

  /** The gear of a lane, made now if it is asked for the first time. Throws EMFILE. */
  of(lane: number): LaneGear {
    const known = this.#gears.get(lane);
    if (known !== undefined) return known;
    const epollFd = native.processEpoll();
    const bellFd = native.processDoorbell();
    const [keeperFd, claimFd] = native.processPair();
    const gear = this.#withDock({ lane, epollFd, bellFd, keeperFd, claimFd });
    this.#gears.set(lane, gear);
    return gear;
  }

  get all(): readonly LaneGear[] {
    return [...this.#gears.values()];
  }

  /** This process's copies only: the lanes go on with those of others. */
  close(): void {
    for (const gear of this.#gears.values()) gearFds(gear).forEach(native.socketClose);
    this.#gears.clear();
  }

  #withDock(gear: LaneGear): LaneGear {
    const name = this.source.dockName(gear.lane);
    if (name === null) return gear;
    try {
      return { ...gear, dockFd: native.processDock(name) };
    } catch (error) {
      this.warn(`lane ${gear.lane} could not be adopted after this master's death: ` +
        `its dock ${name}: ${systemReason(error)}`);
      return gear;
    }
  }
}

export function gearFds(gear: LaneGear): number[] {
  return GEAR_FDS.flatMap((name) => gear[name] ?? []);
}
