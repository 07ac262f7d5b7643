/** Hands a lane's place in shared memory over to C++. */
import type { OrderedGear, WorkerOrder } from '../base/worker-order.js';
import { native } from '../native/binding.js';
import { lanePlaces } from '../shm/lane-places.js';
import type { Segment } from '../shm/segment.js';

/** `fetchedListeners`: ids of those that this process has not been given. */
export function attachLane(
  segment: Segment, order: WorkerOrder, gear: OrderedGear, fetchedListeners: readonly number[],
): void {
  native.laneAttach({
    ...lanePlaces(segment.plan, gear.lane),
    worker: order.worker,
    half: order.generation & 1,
    fdBase: order.fdBase,
    fetchedListeners: Int32Array.from(fetchedListeners),
    epollFd: gear.epollFd,
    bellFd: gear.bellFd,
    keeperFd: gear.keeperFd,
    claimFd: gear.claimFd,
    dockFd: gear.dockFd ?? -1,
    masterPid: order.masterPid,
  });
}
