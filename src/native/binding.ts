/**
 * The only file that loads the addon. Functions that are called at start-up throw; functions of the
 * turn return >= 0 or -errno. The addon refuses to load when it was built from another layout.
 */
import { createRequire } from 'node:module';
import { SCHEMA_HASH } from '../tables/columns.gen.js';

export interface Native extends SegmentCalls, LaneCalls, SocketCalls, ProcessCalls {
  readonly schemaHash: number;
  /** twemproxy's hash of a key, as an unsigned 32-bit number. kind: HashKind. */
  hashKey(kind: number, key: Uint8Array): number;
}

export interface SegmentCalls {
  /** Creates /dev/shm/NAME (mode 0600), fails with EEXIST. Returns its descriptor (close-on-exec). */
  segmentCreate(name: string): number;
  segmentOpen(name: string): number;
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

/** See native/lane.h for what each does; only the worker that owns the lane calls them. */
export interface LaneCalls {
  laneAttach(plan: LaneAttachment): void;
  /** names[i] is the lower-case name of command i; shape[i] packs what the scanner must know of it. */
  laneCommands(names: readonly string[], shape: Int32Array): void;
  /** Runs `decide(descriptors)` inside the lane's turns until libuv has something to do, for ever. */
  laneStart(decide: (descriptors: number) => void): void;
  laneStop(): void;
  /** One round: apply plans, commit, send, wait, receive, frame. Returns the number of descriptors. */
  laneTurn(): number;
  /** Applies the plans written so far, so that columns show their effect. */
  laneApply(decided: number): void;
  laneListen(fd: number, pool: number, unix: boolean): number;
  lanePauseListeners(paused: boolean): void;
  laneCloseListeners(): void;
  linkConnect(link: number, address: string, port: number, unix: boolean): number;
  /** Queues a request of ours ahead of all others; its reply comes as a LinkReply descriptor. */
  linkHandshake(link: number, bytes: Uint8Array): number;
  linkOpenGate(link: number): void;
  /** Closes the link; every request that was not wholly unsent is answered with `error`. Returns how many. */
  linkLose(link: number, error: Uint8Array, resend: boolean): number;
  /** Answers requests older than their pool's timeout with `error`. Returns how many. */
  linkTimeouts(link: number, olderThanUs: number, error: Uint8Array): number;
  sessionClose(session: number, reason: number): void;
  /** Walks every table and the pool; returns a list of what is wrong, empty when all is well. */
  laneCheck(): string[];
}

export interface LaneAttachment {
  readonly lane: number;
  readonly laneBase: number;
  readonly tableBases: Float64Array; // by TableNumber, absolute
  readonly regions: Float64Array; // operation, argument, scratch, journal, arena: absolute
  readonly sizes: Int32Array; // sessions, links, requests, descriptors, receipts, arena bytes, pools, backends, commands
  readonly fdBase: number; // first descriptor of the lane range
}

/** native/socket.cc: what the master needs to listen. */
export interface SocketCalls {
  [name: `socket${string}`]: (...args: never[]) => unknown;
}

/** native/process.cc: titles, rights, limits. */
export interface ProcessCalls {
  [name: `process${string}`]: (...args: never[]) => unknown;
}

const path = process.env['BATON_ADDON'] ?? new URL('../../../build/Release/baton.node', import.meta.url).pathname;

export const native = createRequire(import.meta.url)(path) as Native;

if (native.schemaHash !== SCHEMA_HASH) {
  throw new Error(`${path} was built from another layout: run \`npm run build\``);
}
