/**
 * A lane's rows in shared memory, to be read and written by a test behind its owner's back.
 *
 *   const memory = LaneMemory.open(path, 0);
 *   memory.write(TableNumber.Session, row, Session.State, 77);
 */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { Head } from '../../src/shm/head.js';
import { tables } from '../../src/shm/layout.js';
import { laneTables, type InstancePlan } from '../../src/shm/plan.js';
import { LaneHead, TableNumber } from '../../src/tables/columns.gen.js';

export class LaneMemory {
  readonly #plan: InstancePlan;

  private constructor(readonly fd: number, readonly lane: number) {
    this.#plan = Head.read(fd).plan;
  }

  /** `path`: the object's file. */
  static open(path: string, lane: number): LaneMemory {
    return new LaneMemory(openSync(path, 'r+'), lane);
  }

  close(): void {
    closeSync(this.fd);
  }

  wordsOf(table: TableNumber): number {
    return tables[table]!.rowBytes / 4;
  }

  /** The row behind the last one that is or was in use. */
  top(table: TableNumber): number {
    switch (table) {
      case TableNumber.Session:
      case TableNumber.SessionInfo:
        return this.#head(LaneHead.SessionTop, table);
      case TableNumber.Link:
        return this.#head(LaneHead.LinkTop, table);
      case TableNumber.Request:
        return this.#head(LaneHead.RequestTop, table);
      default:
        return this.#rows(table);
    }
  }

  read(table: TableNumber, row: number, word: number): number {
    const bytes = Buffer.alloc(4);
    readSync(this.fd, bytes, 0, 4, this.#at(table, row, word));
    return bytes.readInt32LE();
  }

  write(table: TableNumber, row: number, word: number, value: number): void {
    writeSync(this.fd, Int32Array.of(value), 0, 4, this.#at(table, row, word));
  }

  #head(column: LaneHead, table: TableNumber): number {
    const top = this.read(TableNumber.LaneHead, 0, column);
    return Math.max(1, Math.min(top, this.#rows(table)));
  }

  #rows(table: TableNumber): number {
    return laneTables(this.#plan.capacities).find(([number]) => number === table)![1];
  }

  #at(table: TableNumber, row: number, word: number): number {
    const { laneBase, tableBase } = this.#plan;
    return laneBase[this.lane]! + tableBase[table]! + row * tables[table]!.rowBytes + word * 4;
  }
}
