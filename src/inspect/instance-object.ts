/**
 * An instance's object in shared memory, as somebody sees it who only reads: opened for reading,
 * never mapped. A mapping would make pages of what was given back to the system, or end this
 * process where the object ends.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import type { Listing } from '../shm/directory.js';
import { Head, MAGIC, ours } from '../shm/head.js';
import { tables } from '../shm/layout.js';
import { LANES_MAX, type InstancePlan } from '../shm/plan.js';
import { Superblock, TableNumber } from '../tables/columns.gen.js';
import { Rows } from './rows.js';

const FOLDER = '/dev/shm';
const BLOCK_BYTES = 512; // of stat

/** It cannot be told what the object holds: another version's, or something else. */
export class UnreadableObject extends Error {
  override readonly name = 'UnreadableObject';
}

export class InstanceObject {
  private constructor(
    readonly name: string,
    readonly fd: number,
    readonly plan: InstancePlan,
  ) {}

  /** Throws what opening it throws, and UnreadableObject. `name` begins with a slash. */
  static open(name: string): InstanceObject {
    const fd = openSync(`${FOLDER}${name}`, 'r');
    try {
      return new InstanceObject(name, fd, planOf(name, Head.read(fd)));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  get path(): string {
    return `${FOLDER}${this.name}`;
  }

  stat(): {
    readonly bytes: number;
    readonly backedBytes: number;
    readonly uid: number;
    readonly mode: number;
  } {
    const { size, blocks, uid, mode } = fstatSync(this.fd);
    return { bytes: size, backedBytes: blocks * BLOCK_BYTES, uid, mode: mode & 0o777 };
  }

  /** In charge, by what memory says. */
  get masterPid(): number {
    return this.rows(TableNumber.Superblock, 1).word(0, Superblock.MasterPid);
  }

  /** Of the configuration that lanes follow. */
  get generation(): number {
    return this.rows(TableNumber.Superblock, 1).word(0, Superblock.Generation);
  }

  /** Superblock, directory and lane rows, as they are now. */
  head(): Head {
    return Head.read(this.fd);
  }

  /** This program's layout if somebody has listed it, else one that is. */
  listing(): Listing {
    const head = this.head();
    const hashes = head.halves().map(({ hash }) => hash).filter((hash) => hash !== 0);
    return head.listing(hashes.includes(ours.hash) ? ours.hash : hashes[0] ?? 0) ?? ours;
  }

  /** Of an instance table. */
  rows(number: TableNumber, count: number): Rows {
    return this.#read(this.plan.tableBase[number]!, number, count);
  }

  /** Of a lane's table. */
  laneRows(lane: number, number: TableNumber, count: number, first = 0): Rows {
    const at = this.plan.laneBase[lane]! + this.plan.tableBase[number]!;
    return this.#read(at + first * tables[number]!.rowBytes, number, count);
  }

  bytes(offset: number, length: number): Buffer {
    const bytes = Buffer.alloc(length); // where the object ends before that it is all 0
    for (let at = 0; at < length;) {
      const got = readSync(this.fd, bytes, at, length - at, offset + at);
      if (got === 0) break;
      at += got;
    }
    return bytes;
  }

  #read(offset: number, number: TableNumber, count: number): Rows {
    const { rowBytes } = tables[number]!;
    return new Rows(this.bytes(offset, count * rowBytes), rowBytes);
  }
}

/** Throws UnreadableObject: every offset follows from what the head says. */
function planOf(name: string, head: Head): InstancePlan {
  const words = new Int32Array(head.bytes.buffer, head.bytes.byteOffset, Superblock.RowWords);
  if (words[Superblock.Magic] === 0) {
    throw new UnreadableObject(`shared memory ${name} is not whole: its master is just starting`);
  }
  if (words[Superblock.Magic] === MAGIC && words[Superblock.Lanes] !== LANES_MAX) {
    throw new UnreadableObject(
      `shared memory ${name} is damaged: it has ${words[Superblock.Lanes]} lanes`);
  }
  const { change, line } = head.verdict();
  if (change !== 'refused') return head.plan;
  const reason = line.replace(/^shared memory: (.*): a full restart is needed$/, '$1');
  throw new UnreadableObject(`shared memory ${name} cannot be read by this version: ${reason}`);
}
