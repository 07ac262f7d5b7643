/**
 * One instance's shared memory as this process sees it: created by a master, attached by workers
 * and by masters that come later, which may be of another version. The only place where views of
 * the mapping are made.
 */
import { native } from '../native/binding.js';
import { Superblock, TableNumber } from '../tables/columns.gen.js';
import { tableOf, type Verdict } from './compatibility.js';
import { writeListing, type Listing } from './directory.js';
import { Head, MAGIC, ours } from './head.js';
import { FORMAT } from './layout.js';
import {
  LANES_MAX, WORKERS_MAX, mapHash, planInstance, type Capacities, type InstancePlan,
} from './plan.js';
import { columnBytes } from './schema.js';

/** Words and doubles over the same bytes; index = byte offset / 4 or / 8. */
export interface Views {
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
}

export class Segment {
  readonly shared: Views; // superblock to routes; offsets as in the plan
  readonly #head: Head;
  readonly #listings = new Map<number, Listing>();
  readonly #laneViews = new Map<number, Views>(); // by lane

  private constructor(
    readonly fd: number,
    readonly plan: InstancePlan,
    readonly verdict: Verdict | null, // what attach found; null: made by this process
  ) {
    this.shared = viewsOf(0, plan.sharedBytes);
    this.#head = new Head(this.shared.bytes);
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
    const segment = new Segment(fd, plan, null);
    segment.#writeSuperblock();
    return segment;
  }

  /**
   * Attaches to an object by a descriptor inherited from a master, of this version or another.
   * Throws when this version cannot use it, with the one line that the log and `-t` say; nothing
   * is changed then. Else this version's columns are listed in the directory from now on.
   */
  static attach(fd: number, bytes: number): Segment {
    const head = Head.read(fd);
    const verdict = head.verdict();
    if (verdict.change === 'refused') throw new Error(verdict.line);
    native.segmentMap(fd, bytes);
    const segment = new Segment(fd, head.plan, verdict);
    segment.#list();
    return segment;
  }

  /** Allocates a lane's extent, if that has not been done, and returns its views. */
  openLane(lane: number): Views {
    native.segmentGrow(this.laneBase(lane), this.plan.laneBytes);
    return this.laneViews(lane);
  }

  /** The same ones each time: V8 counts each as memory of ours, and collects garbage for it. */
  laneViews(lane: number): Views {
    const views = this.#laneViews.get(lane) ?? viewsOf(this.laneBase(lane), this.plan.laneBytes);
    this.#laneViews.set(lane, views);
    return views;
  }

  laneBase(lane: number): number {
    return this.plan.laneBase[lane]!;
  }

  /** Word index of an instance table's row 0 in `shared.words`. */
  wordBase(number: TableNumber): number {
    return this.plan.tableBase[number]! / 4;
  }

  /** The layouts that the directory lists, this program's own among them. */
  listings(): Listing[] {
    return this.#head.halves().filter(({ hash }) => hash !== 0).map(({ hash }) => {
      const known = this.#listings.get(hash) ?? this.#head.listing(hash)!;
      this.#listings.set(hash, known);
      return known;
    });
  }

  #writeSuperblock(): void {
    const { words, doubles } = this.shared;
    const { capacities, tableBase, ...plan } = this.plan;
    words[Superblock.Format] = FORMAT;
    words[Superblock.MasterPid] = process.pid;
    for (const [column, value] of capacityColumns(capacities)) words[column] = value;
    words[Superblock.Nodes] = plan.nodes;
    words[Superblock.Chunks] = plan.chunks;
    doubles[Superblock.StartedAt] = Date.now();
    doubles[Superblock.Bytes] = plan.bytes;
    doubles[Superblock.NodeBase] = tableBase[TableNumber.Node]!;
    doubles[Superblock.ChunkBase] = plan.chunkBase;
    doubles[Superblock.PoolBytesMax] = capacities.poolBytesMax;
    doubles[Superblock.BatchBase] = tableBase[TableNumber.Batch]!;
    words[Superblock.MapHash] = mapHash(this.plan);
    writeListing(this.#head.halfBytes(0), ours);
    words[Superblock.DirectoryA] = ours.hash;
    Atomics.store(words, Superblock.Magic, MAGIC);
  }

  /**
   * Lists this version's columns in the half that no lane's rows need, unless they are listed.
   * Columns that it adds to instance tables begin as 0, whatever a version that has left them
   * behind kept there; of node and batch they are whatever they are.
   */
  #list(): void {
    const halves = this.#head.halves();
    if (halves.some(({ hash }) => hash === ours.hash)) return;
    const half = halves.find(({ hash }) => hash === 0) ?? halves.find(({ isUsed }) => !isUsed)!;
    const other = this.#head.listing(halves[1 - half.number]!.hash)!;
    for (const [number, name, rows] of this.#extensible()) {
      const known = new Set(tableOf(other, name)!.columns.map(({ column }) => column));
      const { columns, rowBytes } = tableOf(ours, name)!;
      for (const added of columns.filter(({ column }) => !known.has(column))) {
        const base = this.plan.tableBase[number]! + added.offset;
        for (let row = 0; row < rows; row += 1) {
          const at = base + row * rowBytes;
          this.shared.bytes.fill(0, at, at + columnBytes(added));
        }
      }
    }
    const word = half.number === 0 ? Superblock.DirectoryA : Superblock.DirectoryB;
    Atomics.store(this.shared.words, word, 0);
    writeListing(this.#head.halfBytes(half.number), ours);
    Atomics.store(this.shared.words, word, ours.hash);
  }

  #extensible(): [TableNumber, string, number][] {
    const { pools, backends } = this.plan.capacities;
    return [
      [TableNumber.Superblock, 'superblock', 1],
      [TableNumber.Lane, 'lane', LANES_MAX],
      [TableNumber.Worker, 'worker', WORKERS_MAX],
      [TableNumber.Pool, 'pool', pools],
      [TableNumber.Backend, 'backend', backends],
    ];
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
