/**
 * One instance's shared memory as this process sees it: created by the master, attached by workers.
 * The only place where views of the mapping are made.
 */
import { native } from '../native/binding.js';
import { SCHEMA_HASH, Superblock, TableNumber, Directory } from '../tables/columns.gen.js';
import { tables } from './layout.js';
import { planInstance, type Capacities, type InstancePlan } from './plan.js';

const MAGIC = 0x42544f4e;
/** Enough to read any superblock before its plan is known. */
const SUPERBLOCK_BYTES = 4096;

/** Words and doubles over the same bytes; index = byte offset / 4 or / 8. */
export interface Views {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
}

export class Segment {
  readonly shared: Views; // superblock to routes; offsets as in the plan

  private constructor(
    readonly fd: number,
    readonly plan: InstancePlan,
  ) {
    this.shared = viewsOf(0, plan.sharedBytes);
  }

  /** Creates the object; throws with `code` EEXIST, ENOSPC… `name` begins with a slash. */
  static create(name: string, capacities: Capacities): Segment {
    const plan = planInstance(capacities);
    const fd = native.segmentCreate(name);
    try {
      native.segmentMap(fd, plan.bytes);
      native.segmentGrow(0, plan.sharedBytes);
    } catch (error) {
      native.segmentUnlink(name);
      throw error;
    }
    const segment = new Segment(fd, plan);
    segment.writeSuperblock();
    return segment;
  }

  /** Attaches to an object made by a master of the same layout, by a descriptor inherited from it. */
  static attach(fd: number, bytes: number): Segment {
    native.segmentMap(fd, bytes);
    const words = new Int32Array(native.segmentView(0, SUPERBLOCK_BYTES));
    if (words[Superblock.Magic] !== MAGIC)
      throw new Error('shared memory: not an instance of Baton');
    if (words[Superblock.SchemaHash] !== SCHEMA_HASH) {
      throw new Error('shared memory: made by a version with another layout');
    }
    return new Segment(fd, planInstance(readCapacities(words)));
  }

  /** Allocates a lane's extent and returns its views. */
  openLane(lane: number): Views {
    native.segmentGrow(this.laneBase(lane), this.plan.laneBytes);
    return this.laneViews(lane);
  }

  /** Gives a lane's memory back; the next openLane finds zeros. */
  releaseLane(lane: number): void {
    native.segmentRelease(this.laneBase(lane), this.plan.laneBytes);
  }

  laneViews(lane: number): Views {
    return viewsOf(this.laneBase(lane), this.plan.laneBytes);
  }

  laneBase(lane: number): number {
    return this.plan.laneBase[lane]!;
  }

  /** Word index of an instance table's row 0 in `shared.words`. */
  wordBase(number: TableNumber): number {
    return this.plan.tableBase[number]! / 4;
  }

  private writeSuperblock(): void {
    const { words, doubles } = this.shared;
    const { capacities, plan } = { capacities: this.plan.capacities, plan: this.plan };
    words[Superblock.SchemaHash] = SCHEMA_HASH;
    words[Superblock.MasterPid] = process.pid;
    for (const [column, value] of capacityColumns(capacities)) words[column] = value;
    words[Superblock.Nodes] = plan.nodes;
    words[Superblock.Chunks] = plan.chunks;
    doubles[Superblock.StartedAt] = Date.now();
    doubles[Superblock.Bytes] = plan.bytes;
    doubles[Superblock.NodeBase] = plan.tableBase[TableNumber.Node]!;
    doubles[Superblock.ChunkBase] = plan.chunkBase;
    doubles[Superblock.PoolBytesMax] = capacities.poolBytesMax;
    doubles[Superblock.BatchBase] = plan.tableBase[TableNumber.Batch]!;
    this.writeDirectory();
    Atomics.store(words, Superblock.Magic, MAGIC);
  }

  private writeDirectory(): void {
    const base = this.plan.tableBase[TableNumber.Directory]!;
    const bytes = Buffer.from(this.shared.bytes.buffer, base);
    let at = 0;
    for (const table of tables) {
      for (const column of table.columns) {
        bytes.write(table.name, at + Directory.Table, 'latin1');
        bytes.write(column.name, at + Directory.Column, 'latin1');
        bytes.write(column.type, at + Directory.Type, 'latin1');
        bytes.write(table.scope, at + Directory.Scope, 'latin1');
        bytes.writeInt32LE(column.offset, at + Directory.Offset * 4);
        bytes.writeInt32LE(column.count, at + Directory.Count * 4);
        bytes.writeInt32LE(table.rowBytes, at + Directory.Stride * 4);
        at += Directory.RowBytes;
      }
    }
  }
}

function viewsOf(offset: number, length: number): Views {
  const buffer = native.segmentView(offset, length);
  return {
    words: new Int32Array(buffer),
    doubles: new Float64Array(buffer),
    bytes: new Uint8Array(buffer),
  };
}

function capacityColumns(capacities: Capacities): [number, number][] {
  return [
    [Superblock.Lanes, capacities.lanes],
    [Superblock.Pools, capacities.pools],
    [Superblock.Backends, capacities.backends],
    [Superblock.Sessions, capacities.sessions],
    [Superblock.Links, capacities.links],
    [Superblock.Requests, capacities.requests],
    [Superblock.Commands, capacities.commands],
    [Superblock.RouteWords, capacities.routeWords],
    [Superblock.ConfBytes, capacities.confBytes],
    [Superblock.ArenaBytes, capacities.arenaBytes],
  ];
}

function readCapacities(words: Int32Array): Capacities {
  const doubles = new Float64Array(words.buffer);
  return {
    lanes: words[Superblock.Lanes]!,
    pools: words[Superblock.Pools]!,
    backends: words[Superblock.Backends]!,
    sessions: words[Superblock.Sessions]!,
    links: words[Superblock.Links]!,
    requests: words[Superblock.Requests]!,
    commands: words[Superblock.Commands]!,
    routeWords: words[Superblock.RouteWords]!,
    confBytes: words[Superblock.ConfBytes]!,
    arenaBytes: words[Superblock.ArenaBytes]!,
    poolBytesMax: doubles[Superblock.PoolBytesMax]!,
  };
}
