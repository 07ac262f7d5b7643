/**
 * What an object says of itself before it is mapped: superblock, directory and lane rows, which
 * every version finds at the same place. A program that wants to attach decides by them.
 */
import { readSync } from 'node:fs';
import { Directory, Lane, Superblock } from '../tables/columns.gen.js';
import { compare, refused, type Verdict } from './compatibility.js';
import { HALF_BYTES, listingOf, readListing, type Listing } from './directory.js';
import { FORMAT, tables } from './layout.js';
import { migrations } from './migrations.js';
import {
  DIRECTORY_ROWS, LANES_MAX, mapHash, planInstance, type Capacities, type InstancePlan,
} from './plan.js';

export const MAGIC = 0x42544f4e;

/** This program's own layout. */
export const ours: Listing = listingOf(tables, migrations);

const DIRECTORY_BASE = Superblock.RowBytes;
const LANE_BASE = DIRECTORY_BASE + 2 * DIRECTORY_ROWS * Directory.RowBytes;
const HEAD_BYTES = LANE_BASE + LANES_MAX * Lane.RowBytes;

export interface Half {
  readonly number: 0 | 1;
  readonly hash: number; // 0: it lists nothing
  readonly isUsed: boolean; // a lane's rows are in this layout
}

/** A copy of an object's head, or its head as it is mapped. */
export class Head {
  readonly #words: Int32Array;
  readonly #doubles: Float64Array;

  constructor(readonly bytes: Uint8Array) {
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, HEAD_BYTES / 4);
    this.#doubles = new Float64Array(bytes.buffer, bytes.byteOffset, HEAD_BYTES / 8);
  }

  static read(fd: number): Head {
    const bytes = new Uint8Array(HEAD_BYTES);
    readSync(fd, bytes, 0, HEAD_BYTES, 0);
    return new Head(bytes);
  }

  get plan(): InstancePlan {
    return planInstance(this.#capacities());
  }

  halves(): readonly [Half, Half] {
    const lanes = Array.from({ length: LANES_MAX }, (_, lane) =>
      this.#words[LANE_BASE / 4 + lane * Lane.RowWords + Lane.SchemaHash]!);
    const half = (number: 0 | 1): Half => {
      const hash = this.#words[number === 0 ? Superblock.DirectoryA : Superblock.DirectoryB]!;
      return { number, hash, isUsed: hash !== 0 && lanes.includes(hash) };
    };
    return [half(0), half(1)];
  }

  /** What the half lists that has this hash; null when none has. */
  listing(hash: number): Listing | null {
    const half = this.halves().find((each) => each.hash === hash && hash !== 0);
    return half === undefined ? null : readListing(this.halfBytes(half.number), hash);
  }

  halfBytes(number: 0 | 1): Uint8Array {
    const at = DIRECTORY_BASE + number * HALF_BYTES;
    return this.bytes.subarray(at, at + HALF_BYTES);
  }

  /** Whether a program of layout `mine` may attach; writes nothing. */
  verdict(mine: Listing = ours): Verdict {
    if (this.#words[Superblock.Magic] !== MAGIC) return refused('not an instance of Baton');
    const format = this.#words[Superblock.Format]!;
    if (format !== FORMAT) return refused(`its format is ${format}, this version's is ${FORMAT}`);
    const halves = this.halves();
    const used = halves.filter((half) => half.isUsed);
    const wasHere = halves.some((half) => half.hash === mine.hash);
    if (used.length === 2 && !wasHere) return refused('two other versions use it now');
    const running = used.length > 0 ? used : halves.filter((half) => half.hash !== 0);
    const verdicts = running.map((half) => compare(this.listing(half.hash)!, mine, wasHere));
    const refusal = verdicts.find(({ change }) => change === 'refused');
    if (refusal !== undefined) return refusal;
    if (this.#words[Superblock.MapHash] !== mapHash(this.plan)) {
      return refused('this version would cut it differently');
    }
    return verdicts.find(({ change }) => change !== 'same') ?? verdicts[0]!;
  }

  #capacities(): Capacities {
    const word = (column: Superblock): number => this.#words[column]!;
    return {
      lanes: word(Superblock.Lanes),
      pools: word(Superblock.Pools),
      backends: word(Superblock.Backends),
      sessions: word(Superblock.Sessions),
      links: word(Superblock.Links),
      requests: word(Superblock.Requests),
      commands: word(Superblock.Commands),
      routeWords: word(Superblock.RouteWords),
      confBytes: word(Superblock.ConfBytes),
      arenaBytes: word(Superblock.ArenaBytes),
      poolBytesMax: this.#doubles[Superblock.PoolBytesMax]!,
    };
  }
}

/**
 * For `-t`: whether this program could take an instance over, whose object is open as `fd`, and
 * whether the way back would be open. Reads only.
 */
export function describeUpgrade(fd: number): Verdict {
  return Head.read(fd).verdict();
}
