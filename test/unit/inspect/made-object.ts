/**
 * An object in shared memory of which lane 0 is somebody's, made by a process of its own: one that
 * looks from outside maps none. Its words can be written from here.
 *
 *   const made = new MadeObject(t);
 *   made.write(TableNumber.Session, 3, Session.State, 77);
 */
import { spawnSync } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { native } from '../../../src/native/binding.js';
import { SessionState, LaneState, OwnerState, WorkerState } from '../../../src/shm/codes.js';
import { ours } from '../../../src/shm/head.js';
import { LANE_GUARD, tables } from '../../../src/shm/layout.js';
import { planInstance, type Capacities, type InstancePlan } from '../../../src/shm/plan.js';
import { Lane, LaneHead, Session, TableNumber, Worker } from '../../../src/tables/columns.gen.js';
import type { Scope } from '../../support/scope.js';

export const CAPACITIES: Capacities = {
  lanes: 64, pools: 8, backends: 16, sessions: 64, links: 16, requests: 128, commands: 16,
  routeWords: 64, confBytes: 256, arenaBytes: 4 << 20, poolBytesMax: 64 << 20,
};
export const FD_BASE = 1024;

export class MadeObject {
  readonly name = `/baton-inspect-test-${process.pid}`;
  readonly plan: InstancePlan = planInstance(CAPACITIES);
  readonly #fd: number;

  constructor(scope: Scope) {
    scope.teardown(() => native.segmentUnlink(this.name));
    const maker = fileURLToPath(new URL('object-maker.js', import.meta.url));
    const { status, stderr } = spawnSync(process.execPath, [maker, this.name], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    this.#fd = openSync(`/dev/shm${this.name}`, 'r+');
    scope.teardown(() => closeSync(this.#fd));
    this.write(TableNumber.Worker, 1, Worker.State, WorkerState.Serving);
    this.write(TableNumber.Worker, 1, Worker.Pid, process.pid);
    this.write(TableNumber.Lane, 0, Lane.Epoch, 1);
    this.write(TableNumber.Lane, 0, Lane.State, LaneState.Serving);
    this.write(TableNumber.Lane, 0, Lane.Owner, 4 + OwnerState.Serving);
    this.write(TableNumber.Lane, 0, Lane.SchemaHash, ours.hash);
    this.write(TableNumber.Lane, 0, Lane.Sleeping, 1);
    for (const [column, value] of [[LaneHead.Turn, 1], [LaneHead.SessionTop, 1],
      [LaneHead.LinkTop, 1], [LaneHead.RequestTop, 1], [LaneHead.Guard, LANE_GUARD]] as const) {
      this.write(TableNumber.LaneHead, 0, column, value);
    }
  }

  /** An idle client. */
  openSession(row: number): void {
    this.write(TableNumber.Session, row, Session.State, SessionState.Open);
    this.write(TableNumber.Session, row, Session.Fd, FD_BASE + row);
    this.writeBytes(TableNumber.Session, row, Session.ClientId * 8, Buffer.from(Float64Array.of(1).buffer));
  }

  /** Of an instance table or of lane 0's. */
  write(table: TableNumber, row: number, word: number, value: number): void {
    this.writeBytes(table, row, word * 4, Buffer.from(Int32Array.of(value).buffer));
  }

  writeBytes(table: TableNumber, row: number, byte: number, bytes: Buffer): void {
    const { scope, rowBytes } = tables[table]!;
    const base = scope === 'lane' ? this.plan.laneBase[0]! : 0;
    writeSync(this.#fd, bytes, 0, bytes.length, base + this.plan.tableBase[table]! + row * rowBytes + byte);
  }
}
