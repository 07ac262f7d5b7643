/**
 * What belongs to a lane itself and not to who runs it: made once, by the first master that needs
 * the lane, and inherited by every worker and every master after him under the same meaning.
 *
 *   epoll    watches the lane's sockets, whoever owns the lane: a takeover registers nothing anew
 *   bell     an eventfd in that epoll: wakes the owner
 *   keeper ── claim    a socket pair: a claimant asks here, the lane's present keeper answers there
 */
import { native } from '../native/binding.js';

/** Descriptors of this process; close-on-exec, a child gets them by being given them. */
export interface LaneGear {
  readonly lane: number;
  readonly epollFd: number;
  readonly bellFd: number;
  readonly keeperFd: number;
  readonly claimFd: number;
}

export class LaneGears {
  readonly #gears = new Map<number, LaneGear>();

  /** `inherited`: those that the master before this one has made. */
  constructor(inherited: readonly LaneGear[] = []) {
    for (const gear of inherited) this.#gears.set(gear.lane, gear);
  }

  /** The gear of a lane, made now if it is asked for the first time. Throws EMFILE. */
  of(lane: number): LaneGear {
    const known = this.#gears.get(lane);
    if (known !== undefined) return known;
    const epollFd = native.processEpoll();
    const bellFd = native.processDoorbell();
    const [keeperFd, claimFd] = native.processPair();
    const gear = { lane, epollFd, bellFd, keeperFd, claimFd };
    this.#gears.set(lane, gear);
    return gear;
  }

  get all(): readonly LaneGear[] {
    return [...this.#gears.values()];
  }

  /** This process's copies only: the lanes go on with those of others. */
  close(): void {
    for (const { epollFd, bellFd, keeperFd, claimFd } of this.#gears.values()) {
      for (const fd of [epollFd, bellFd, keeperFd, claimFd]) native.socketClose(fd);
    }
    this.#gears.clear();
  }
}
