/**
 * What a master tells a worker that it starts, as JSON in the environment. Descriptors are those of
 * the worker: the master places them at 3 and up.
 */
export const WORKER_ORDER_VARIABLE = 'BATON_WORKER';

export interface WorkerOrder {
  readonly masterPid: number; // a worker with another parent has lost its master already
  readonly worker: number; // row of the worker table, which the master has set to Starting
  readonly lane: number; // row of the lane table; also the worker's number in titles and logs
                        // -1: a standby, for whichever of its gears' lanes loses its owner
  readonly shmFd: number;
  readonly segmentBytes: number;
  readonly confOffset: number; // of the roster as JSON, bytes from the object's start
  readonly confBytes: number;
  readonly generation: number; // of that roster
  readonly gears: readonly OrderedGear[]; // of its lane; a standby gets those of all
  readonly bells: readonly OrderedBell[]; // of all lanes: whom it sends something, it wakes
  readonly listeners: readonly OrderedListener[]; // every one of the roster, retired ones too; a
                                                  // standby gets none: a keeper has them for it
  readonly doorbellFd: number; // the master's eventfd: rung when he should look
  readonly fdBase: number; // first descriptor of the lane's range
  readonly logFd?: number; // either a descriptor
  readonly logFile?: string; // or a file, which the worker opens itself and can open anew
  readonly logLevel: string;
  readonly crashDir?: string; // where reports of crashes go; absent: to standard error
  readonly user?: string;
  readonly group?: string;
}

/** What belongs to a lane, whoever owns it. */
export interface OrderedGear {
  readonly lane: number;
  readonly epollFd: number; // the lane's own, shared by all its owners
  readonly bellFd: number; // eventfd in that epoll: wakes the owner
  readonly keeperFd: number; // socket pair of the lane: this end is read by its keeper …
  readonly claimFd: number; // … and this one by whoever claims the lane
  readonly dockFd?: number; // listens by a name, for masters; none: the instance has no name
  readonly affinity?: readonly number[]; // of whoever runs it
}

export interface OrderedBell {
  readonly lane: number;
  readonly fd: number;
}

export interface OrderedListener {
  readonly id: number; // RosterListener
  readonly fd: number;
}
