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
  /** Backs [offset, offset + bytes) with memory by fallocate; throws ENOSPC instead of a later SIGBUS. */
  segmentGrow(offset: number, bytes: number): void;
  /** Gives the memory of [offset, offset + bytes) back; it reads as zero after segmentGrow. */
  segmentRelease(offset: number, bytes: number): void;
  /** A view of the mapping; at most 4 GiB. */
  segmentView(offset: number, bytes: number): ArrayBuffer;
}

/** Only the worker that owns the lane calls these; native/lane.h says how each is done. */
export interface LaneCalls {
  laneAttach(plan: LaneAttachment): void;
  /** names[i] is the lower-case name of command i; shapes[i] packs what the scanner must know of it. */
  laneCommands(names: readonly string[], shapes: Int32Array): void;
  /** Calls `run` inside libuv's loop, for ever; run() takes turns until LaneHead.Leave is set. */
  laneStart(run: () => void): void;
  laneStop(): void;
  /** One round: apply plans, commit, send, wait, receive, frame. Returns the number of descriptors. */
  laneTurn(): number;
  /** Applies, commits and sends what has been decided, without waiting. */
  laneFinish(): void;
  /** Applies the first `decided` plans, so that columns show their effect. */
  laneApply(decided: number): void;
  laneListen(fd: number, pool: number, unix: boolean): number;
  /** Closes this process's copies; others that hold the sockets go on accepting. */
  laneCloseListeners(): void;
  /** Closes sessions that have nothing under way. Returns how many sessions are left. */
  laneDrain(): number;
  /** Walks every table and the pool; returns what is wrong, empty when all is well. */
  laneCheck(): string[];
  /** Gives the lane's nodes and chunks back: its end. */
  laneRelease(): void;
  linkDefine(link: number, pool: number, backend: number, protocol: number): void;
  /** Starts a connect to an IP address or a path. 0 or -errno; LinkUp or LinkLost follows. */
  linkConnect(link: number, address: string, port: number, unix: boolean): number;
  /** Sends bytes that precede all requests; each reply comes as a LinkReply. 0 or -errno. */
  linkHandshake(link: number, bytes: Uint8Array): number;
  linkOpenGate(link: number): void;
  /** Closes the link; requests are answered with `error`, wholly unsent ones kept if `resend`. Returns how many. */
  linkLose(link: number, error: Uint8Array, resend: boolean): number;
  /** Answers requests that arrived before `olderThanUs` (monotonic) with `error`. Returns how many. */
  linkTimeouts(link: number, olderThanUs: number, error: Uint8Array): number;
  /** Writes a column of session_info: 0 name, 1 lib_name, 2 lib_ver, 3 db. */
  sessionNote(session: number, note: number, value: Uint8Array): void;
  /** Copies bytes out of a large request in the session's in chain. */
  sessionRead(session: number, offset: number, bytes: number): Buffer;
}

export interface LaneAttachment {
  readonly lane: number;
  readonly laneBase: number;
  readonly tableBases: Float64Array; // by TableNumber, absolute
  readonly regions: Float64Array; // operation, argument, scratch, journal, arena: absolute
  /** sessions, links, requests, descriptors, receipts, arena bytes, pools, backends, commands, argument words, journal bytes */
  readonly sizes: Int32Array;
  readonly peerCounters: Float64Array; // pool counters of all lanes of this half: absolute
  readonly firstPeer: number; // the first of those lanes
  readonly fdBase: number; // first descriptor of the lane range
}

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
}

const path =
  process.env['BATON_ADDON'] ??
  new URL('../../../build/Release/baton.node', import.meta.url).pathname;

export const native = createRequire(import.meta.url)(path) as Native;

if (native.schemaHash !== SCHEMA_HASH) {
  throw new Error(`${path} was built from another layout: run \`npm run build\``);
}
