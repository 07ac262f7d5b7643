/**
 * What a master tells a worker that it starts, as JSON in the environment. Descriptors are those of
 * the worker: the master places them at 3 and up.
 */
export const WORKER_ORDER_VARIABLE = 'BATON_WORKER';

export interface WorkerOrder {
  readonly masterPid: number; // a worker with another parent has lost its master already
  readonly lane: number; // row of the lane table
  readonly workerNumber: number; // 0 to worker_processes - 1
  readonly shmFd: number;
  readonly segmentBytes: number;
  readonly confOffset: number; // of the settings as JSON, bytes from the object's start
  readonly confBytes: number;
  readonly firstPool: number; // row of the first pool of this configuration
  readonly firstBackend: number;
  readonly listeners: readonly OrderedListener[];
  readonly doorbellFd: number; // the master's eventfd: rung when he should look at the lane
  readonly fdBase: number; // first descriptor of the lane's range
  readonly logFd?: number; // either a descriptor
  readonly logFile?: string; // or a file, which the worker opens itself and can open anew
  readonly logLevel: string;
  readonly user?: string;
  readonly group?: string;
  readonly affinity?: readonly number[];
}

export interface OrderedListener {
  readonly fd: number;
  readonly pool: number; // absolute row
  readonly unix: boolean;
}
