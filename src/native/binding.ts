/**
 * The only file that loads the addon. Functions that are called at start-up throw; functions of the
 * turn return >= 0 or -errno. The addon refuses to load when it was built from another layout.
 */
import { createRequire } from 'node:module';
import { SCHEMA_HASH } from '../tables/columns.gen.js';

export interface Native extends SegmentCalls, LaneCalls, SocketCalls, ProcessCalls {
  readonly schemaHash: number;
  /** The hash by which a pool routes a key, as a signed 32-bit number; tagOpen -1 = no hash_tag. */
  hashKey(kind: number, tagOpen: number, tagClose: number, key: Uint8Array): number;
}

export interface SegmentCalls {
  /** Creates /dev/shm/NAME (mode 0600), fails with EEXIST. Returns its descriptor (close-on-exec). */
  segmentCreate(name: string): number;
  segmentUnlink(name: string): void;
  /** Reserves `bytes` of address space once and maps the object there. One segment per process. */
  segmentMap(fd: number, bytes: number): void;
  /**
   * Reserves private memory of the size of an object that is open as `fd` for reading, instead of
   * mapping that one: laneLook copies parts of it to the same places.
   */
  segmentShadow(fd: number, bytes: number): void;
  /** Backs [offset, offset + bytes) with memory by fallocate; throws ENOSPC instead of a later SIGBUS. */
  segmentGrow(offset: number, bytes: number): void;
  /** A view of the mapping; at most 4 GiB. */
  segmentView(offset: number, bytes: number): ArrayBuffer;
}

/**
 * Only a worker calls these, of the lane that it attached to last or has selected; native/lane.h
 * says how each is done.
 */
export interface LaneCalls {
  /** A standby calls it for each lane that it may be needed for. */
  laneAttach(plan: LaneAttachment): void;
  /** This lane is the one that this process is for: its descriptors come to their numbers. */
  laneSelect(lane: number): void;
  /**
   * From now on the kernel tells all who look at this worker's row when the calling thread dies:
   * the one that runs the lane. For life.
   */
  laneLife(worker: number): void;
  /** Rings `bell` when a lane of this worker's generation has lost its owner: see laneFound(). */
  laneWatch(bell: number): void;
  laneFound(): number;
  /**
   * Selects that lane and becomes its owner if the one it has is dead. Returns Claim.Inherited or
   * -errno (EAGAIN: he is not, EBUSY: somebody was faster, EIO: a listening socket is not to be
   * had); then it is left alone until it has another owner.
   */
  laneInherit(lane: number): number;
  /**
   * names[i] is the lower-case name of command i; shapes[i] packs what the scanner must know of it.
   * For all lanes attached to so far.
   */
  laneCommands(names: readonly string[], shapes: Int32Array): void;
  /**
   * Starts this worker's keeper (native/keeper.h), which lives for at most `orphanMs` after its
   * worker if nobody claims. Returns its pid, or -errno where the kernel forbids it. `lane` -1:
   * which lane it is for is known to it from laneInherit() on.
   */
  laneKeeper(lane: number, orphanMs: number): number;
  /** Whether that keeper has died; laneKeeperStop() reaps it. */
  laneKeeperDied(): boolean;
  laneKeeperStop(): void;
  /**
   * From now on a fatal signal gives the lane up and writes a report (native/crash.h) into
   * `directory`, a descriptor, or to standard error where that is -1. `about`: its first line.
   */
  laneWatchCrashes(directory: number, about: string): void;
  /**
   * Gives the lane up, if it is ours: nothing of it may be touched from now on. Returns whether a
   * report of this death may be written.
   */
  laneAbandon(): boolean;
  /** Ends the process at once: no handler runs, nothing is flushed. */
  laneDie(code: number): never;
  /**
   * Before a claim: asks the lane's present keeper for descriptors that this process does not have
   * yet, one round. Returns how many rows are still without; 0 also when the lane has no owner.
   */
  laneFetch(): number;
  /**
   * Becomes the owner. Asks a living owner to freeze, waits up to `timeoutMs`, fetches the last
   * descriptors. Returns a Claim (src/shm/codes.ts) or -errno (ETIMEDOUT: the owner did not freeze and goes on;
   * EBUSY: somebody else claims). On success the lane is this process's, but not yet served.
   */
  laneClaim(timeoutMs: number): number;
  /**
   * After a claim, before anybody reads the lane's rows or its journal: can they be read at all?
   * If not, laneBegin begins the lane anew. `ours`: the rows are in this program's layout.
   */
  laneVet(ours: boolean): void;
  /** What laneBegin has found damaged, and given up. */
  laneFindings(): readonly Finding[];
  /** After a claim, with rows in this program's layout: repairs what a death tore, makes private lists. */
  laneBegin(): void;
  /** Makes ready for laneStart, once a process. Throws when a thread cannot be had. */
  laneLoop(): void;
  /** Calls `run` inside libuv's loop, for ever; run() takes turns until LaneHead.Leave is set. */
  laneStart(run: () => void): void;
  laneStop(): void;
  /**
   * One round: apply plans, commit, send, wait, receive, frame. Returns the number of descriptors,
   * or -1 when another process owns the lane from now on: its rows must not be touched any more.
   */
  laneTurn(): number;
  /** Applies, commits and sends what has been decided, without waiting. */
  laneFinish(): void;
  /** Applies the first `decided` plans, so that columns show their effect. */
  laneApply(decided: number): void;
  /** Moves a listening socket to the descriptor number that its id has in all owners of the lane. */
  lanePlace(id: number, fd: number): void;
  /**
   * Moves a copy of another lane's doorbell to the descriptor number that it has in all owners of
   * this process's lanes: messages to that lane wake its owner from now on. Without one, its owner
   * finds them within a heartbeat.
   */
  lanePlaceBell(lane: number, fd: number): void;
  /** Accepts there from now on, for `pool` (id). Once more does no harm. */
  laneListen(id: number, pool: number, unix: boolean): void;
  /** No longer accepts there, and closes this process's copy of the socket. */
  laneUnlisten(id: number): void;
  /** Closes this process's copies; others that hold the sockets go on accepting. */
  laneCloseListeners(): void;
  /**
   * Closes the sessions of a pool, of a listener (the other is -1), or of all (both are) that have
   * nothing under way. Returns how many are left.
   */
  laneDrain(pool: number, listener: number): number;
  /** Closes them whatever they have under way. */
  laneCut(pool: number, listener: number): void;
  /** Walks every table and the pool; returns what is wrong, empty when all is well. */
  laneCheck(): string[];
  /** Another process' lane, in a segmentShadow: only laneLook and laneExamine may be called for it. */
  laneInspect(plan: Omit<LaneAttachment, GearOfAttachment>): void;
  /** Copies the lane; with `onlyResting` not unless it rests. */
  laneLook(onlyResting: boolean): Look;
  /** What laneCheck would return of the copy that a look has made (native/look.h), once. */
  laneExamine(look: Look): string[];
  /** Gives the lane's nodes and chunks back and leaves the lane without an owner: its end. */
  laneRelease(): void;
  /** `home`: of a relay, the lane that has the connection, + 1; else 0. */
  linkDefine(
    link: number, pool: number, backend: number, protocol: number, place: number, home: number,
  ): void;
  /** The row of a link that is Down and has no requests becomes Free. */
  linkFree(link: number): void;
  /** Sets or clears LinkFlag.Leaving, and which pool the link belongs to. */
  linkLeave(link: number, leaving: boolean): void;
  /** Writes policy columns of a link: deadline_us, retry_us (lane time), failures, replies_due. */
  linkPlan(link: number, deadlineUs: number, retryUs: number, failures: number, repliesDue: number): void;
  /** Why the link was lost last; `text` for reason -1. */
  linkReason(link: number, reason: number, text: string): void;
  /** State Resolving: a name is being looked up. */
  linkResolving(link: number): void;
  /** Starts a connect to an IP address or a path. 0 or -errno; LinkUp or LinkLost follows. */
  linkConnect(link: number, address: string, port: number, unix: boolean): number;
  /** Asks a relay's home lane for a peer; the gate may be opened at once. 0 or -errno. */
  linkRelay(link: number): number;
  /** Sends bytes that precede all requests; each reply comes as a LinkReply. 0 or -errno. */
  linkHandshake(link: number, bytes: Uint8Array): number;
  linkOpenGate(link: number): void;
  /** Closes the link; requests are answered with `error`, wholly unsent ones kept if `resend`. Returns how many. */
  linkLose(link: number, error: Uint8Array, resend: boolean): number;
  /** Answers requests that arrived before `olderThanUs` (lane time) with `error`. Returns how many. */
  linkTimeouts(link: number, olderThanUs: number, error: Uint8Array): number;
  /** Writes a column of session_info: 0 name, 1 lib_name, 2 lib_ver, 3 db. */
  sessionNote(session: number, note: number, value: Uint8Array): void;
  /** Copies bytes out of a large request in the session's in chain. */
  sessionRead(session: number, offset: number, bytes: number): Buffer;
}

/** native/look.h: no copy; one from within a turn; one of a lane whose owner slept meanwhile. */
export const enum Look { Moved, Open, Resting }

/** native/lane.h; Poisoned: a link whose server said what workers died of. Ring: row = a lane. */
export const enum FindingKind { Lane, Session, Link, Poisoned, Ring }

export interface Finding {
  readonly kind: FindingKind;
  readonly row: number; // session, link or lane
  readonly what: string;
}

export interface LaneAttachment {
  readonly lane: number;
  readonly worker: number; // row of the worker table
  readonly laneBase: number;
  readonly laneBytes: number;
  readonly tableBases: Float64Array; // by TableNumber, absolute
  readonly regions: Float64Array; // operation, argument, scratch, journal, arena: absolute
  /**
   * sessions, links, requests, descriptors, receipts, arena bytes, pools (of a half), backends (of
   * a half), commands, argument words, journal bytes, listeners
   */
  readonly sizes: Int32Array;
  readonly half: number; // 0 or 1: where this worker's pool and backend rows lie
  readonly peerCounters: Float64Array; // pool counters of all lanes: absolute
  readonly laneBases: Float64Array; // extents of all lanes: absolute
  readonly fetchedListeners: Int32Array; // ids of listeners that the lane's keeper is to give
  readonly fdBase: number; // first descriptor of the lane range: sessions, links, listeners
  readonly epollFd: number;
  readonly bellFd: number;
  readonly keeperFd: number;
  readonly claimFd: number;
  readonly dockFd: number; // -1: the lane has none
  readonly masterPid: number;
}

/** What only who runs a lane has. */
type GearOfAttachment = 'fetchedListeners' | 'epollFd' | 'bellFd' | 'keeperFd' | 'claimFd'
  | 'dockFd' | 'masterPid';

/** native/socket.cc: what the master needs to listen. All throw errors with `code` and `syscall`. */
export interface SocketCalls {
  /**
   * Listens on a TCP address (a name means its first address). Non-blocking, close-on-exec;
   * accepted sockets inherit TCP_NODELAY, SO_OOBINLINE and, if asked for, SO_KEEPALIVE.
   */
  socketListenTcp(host: string, port: number, backlog: number, options: ListenOptions): number;
  /** Throws EADDRINUSE when anybody listens there, also one who would share the port. */
  socketProbe(host: string, port: number, v6only: boolean): void;
  /** mode: permissions of the socket's file, null leaves them to the umask. */
  socketListenUnix(path: string, mode: number | null, backlog: number): number;
  /** Whether somebody listens on the socket at `path`. */
  socketUnixAnswers(path: string): boolean;
  /** Whether connections that this listener accepts from now on are probed when idle. */
  socketKeepalive(fd: number, on: boolean): void;
  /** Another number, close-on-exec, for the same socket. */
  socketDuplicate(fd: number): number;
  socketClose(fd: number): void;
}

export interface ListenOptions {
  readonly reuseport: boolean;
  readonly keepalive: boolean;
  readonly v6only: boolean; // of interest for IPv6 addresses only
}

/** native/process.cc: titles, rights, limits, bells. All throw errors with `code` and `syscall`. */
export interface ProcessCalls {
  /** What ps shows; as long as it takes, unlike process.title. */
  processTitle(title: string): void;
  /** Binds the calling thread to these cores. */
  processAffinity(cpus: readonly number[]): void;
  /** Looks names (or numbers) up; group null means the user's own. Throws ENOENT when unknown. */
  processIdentity(user: string, group: string | null): { uid: number; gid: number };
  /**
   * Becomes that user for good, with his supplementary groups. The kernel then forgets
   * processParentDeath: call that afterwards.
   */
  processUser(user: string, group: string | null): void;
  /**
   * Sets the limit of open files, 0 = up to the hard limit, and returns what it is now. Less than
   * was asked for when that is beyond the hard limit and there is no right to raise it.
   */
  processLimits(maxFiles: number): { soft: number; hard: number };
  /** Sets soft and hard limit of open files of a child. */
  processChildLimit(pid: number, files: number): void;
  /** Gets `signal` when the parent dies. Returns the parent's pid: 1 may mean that it is dead already. */
  processParentDeath(signal: number): number;
  /** Creates and locks a file; the lock ends with the last descriptor. Throws EAGAIN when it is taken. */
  processLock(path: string): number;
  /** Points descriptors 0 to 2 at /dev/null. */
  processDetach(): void;
  /** An eventfd: close-on-exec, non-blocking. */
  processDoorbell(): number;
  processRing(fd: number): void;
  /** Calls back after each ring (rings that come together count once). Keeps no process alive. */
  processWatch(fd: number, onRung: () => void): void;
  /** An epoll instance: close-on-exec. */
  processEpoll(): number;
  /** A pair of SOCK_SEQPACKET sockets: close-on-exec, non-blocking. */
  processPair(): [number, number];
  /**
   * A listening SOCK_SEQPACKET socket by an abstract name: close-on-exec, non-blocking. Throws
   * EADDRINUSE when somebody has the name.
   */
  processDock(name: string): number;
  /**
   * Asks the keeper behind a dock of root's or of this user's for copies of its descriptors of these
   * numbers (native/fd-pass.h), and waits `timeoutMs` at most. -1 for one that is not open there.
   */
  processFetch(name: string, numbers: readonly number[], timeoutMs: number): number[];
  /** 0 where the kernel lets this process have keepers, else the -errno of what it forbids. */
  processProbeKeeper(): number;
  /** For descriptors that were inherited: those that this process executes do not get them. */
  processCloseOnExec(fds: readonly number[]): void;
  /** False for a file on a file system that is mounted noexec: it cannot be loaded from there. */
  processMayExecute(path: string): boolean;
  /**
   * Collects a child that Node did not start. Its status as a shell says it (0 to 255, 128 + the
   * signal), null while it lives. Throws ECHILD when it is no child.
   */
  processReap(pid: number): number | null;
  /** Collects every dead child but `own`, one that Node started and collects itself. */
  processReapOrphans(own: number): readonly { readonly pid: number; readonly status: number }[];
  /** Descendants whose parents die become this process's children, as if it were PID 1. */
  processSubreaper(): void;
  /** Whether this process has a controlling terminal. */
  processHasTerminal(): boolean;
  /** Sends a datagram to the service manager's socket: a path, or @ and an abstract name. */
  processNotify(socket: string, text: string): void;
}

/** The file that is loaded. */
export const addonPath =
  process.env['BATON_ADDON'] ??
  new URL('../../../build/Release/baton.node', import.meta.url).pathname;

export const native = createRequire(import.meta.url)(addonPath) as Native;

if (native.schemaHash !== SCHEMA_HASH) {
  throw new Error(`${addonPath} was built from another layout: run \`npm run build\``);
}
