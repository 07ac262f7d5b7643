/**
 * One routing generation of one pool as Int32 words in shared memory: hash in, backend out.
 *
 *            0     1      2          3     4      5            6     7
 *   header | kind | count | liveCount | only | shift | weightTotal | size | 0 |
 *
 *   None, Single   nothing more; Single's server is `only`
 *   Ketama         | buckets: 2^(32 - shift) words | count + 1 pairs (point, owner) |
 *   Modula         | count pairs (end, owner) |
 *   Random         | count owners |
 *
 *   A ketama bucket covers the hashes that share their upper bits. It holds the offset, from the
 *   generation's base, of the first pair whose point is not below the bucket:
 *
 *      hash >>> shift ──► bucket ──► pair, pair, … until point >= hash
 *
 *   There are at least twice as many buckets as points (up to 800 servers), so the walk is a step
 *   or two. Points are stored ^ 0x80000000, so that signed compares order them. The last pair is a
 *   guard: its point, 0x7fffffff, ends every walk, and it has the owner of the first point, so that
 *   the ring closes without a branch.
 *
 * The master writes a generation (writeRoute) before any lane can see it, and never again while one
 * can: readers need no atomics. Owners are indexes of servers in the pool's order.
 */
import { assert } from '../base/assert.js';
import { Distribution } from './distribution.js';
import { buildKetama, ketamaPointsMax } from './ketama.js';
import { buildModula } from './modula.js';
import { buildRandom, randomSeed, xorshift } from './random.js';
import type { RouteServer } from './server-order.js';

export const enum RouteKind {
  None = 0, // no server is live
  Single = 1, // one server is live: it gets everything, unhashed
  Ketama = 2,
  Modula = 3,
  Random = 4,
}

/** Offsets of the header's words from the base of a generation. */
export const enum RouteWord {
  Kind = 0,
  Count = 1, // Ketama: points without the guard; Modula: runs; Random: owners
  LiveCount = 2, // servers that are live
  Only = 3, // Single: index of the server; else -1
  Shift = 4, // Ketama: what to shift a hash by to get its bucket
  WeightTotal = 5, // Modula: the sum of the live weights
  Size = 6, // words of this generation, header included
  Body = 8, // where the header ends
}

const BUCKET_BITS_MIN = 6;
const BUCKET_BITS_MAX = 18;

/** Looks up one generation. Belongs to one lane; select() moves it to the next generation. */
export class RouteView {
  readonly words: Int32Array;
  base: number;
  private randomState: number;

  /** `base` is the position in `words` at which the generation starts; `seed` is not 0. */
  constructor(words: Int32Array, base: number, seed: number = randomSeed()) {
    assert((seed | 0) !== 0, 'a xorshift seed is not 0');
    this.words = words;
    this.base = base;
    this.randomState = seed | 0;
  }

  /** From now on answers by the generation at `base`. */
  select(base: number): void {
    this.base = base;
  }

  /** The index of the backend for `hash` (any 32 bits, signed or not); -1 when none is live. */
  route(hash: number): number {
    const words = this.words;
    const base = this.base;
    switch (words[base + RouteWord.Kind] as RouteKind) {
      case RouteKind.Ketama: {
        const flipped = hash ^ 0x80000000;
        const bucket = hash >>> words[base + RouteWord.Shift]!;
        let pair = base + words[base + RouteWord.Body + bucket]!;
        while (words[pair]! < flipped) pair += 2;
        return words[pair + 1]!;
      }
      case RouteKind.Modula:
        return this.routeModula(hash);
      case RouteKind.Random:
        return this.routeRandom();
      default:
        return words[base + RouteWord.Only]!;
    }
  }

  private routeModula(hash: number): number {
    const words = this.words;
    const base = this.base;
    const place = ((hash >>> 0) % (words[base + RouteWord.WeightTotal]! >>> 0)) | 0;
    const first = base + RouteWord.Body;
    let low = 0;
    let high = words[base + RouteWord.Count]! - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (words[first + 2 * middle]! <= place) low = middle + 1;
      else high = middle;
    }
    return words[first + 2 * low + 1]!;
  }

  private routeRandom(): number {
    const state = xorshift(this.randomState);
    this.randomState = state;
    const words = this.words;
    const base = this.base;
    const place = ((state >>> 0) % (words[base + RouteWord.Count]! >>> 0)) | 0;
    return words[base + RouteWord.Body + place]!;
  }
}

/** Words to reserve for a generation of any live subset of `serverCount` servers of any weights. */
export function routeWordsMax(serverCount: number, distribution: Distribution): number {
  switch (distribution) {
    case Distribution.Ketama: {
      const pointsMax = ketamaPointsMax(serverCount);
      return RouteWord.Body + 2 ** bucketBits(pointsMax) + 2 * (pointsMax + 1);
    }
    case Distribution.Modula:
      return RouteWord.Body + 2 * serverCount;
    case Distribution.Random:
      return RouteWord.Body + serverCount;
    default:
      return distribution satisfies never;
  }
}

/**
 * Writes the generation of those `servers` whose place in `live` is true, at `base`, where
 * routeWordsMax words must be free. `servers` is the whole pool in order. Returns the words used.
 */
export function writeRoute(
  words: Int32Array,
  base: number,
  distribution: Distribution,
  servers: readonly RouteServer[],
  live: readonly boolean[],
): number {
  assert(servers.length === live.length, 'every server is either live or not');
  const room = routeWordsMax(servers.length, distribution);
  assert(base >= 0 && base + room <= words.length, 'a generation fits its place');

  const alive = servers.filter((_, i) => live[i]);
  words.fill(0, base, base + RouteWord.Body);
  words[base + RouteWord.LiveCount] = alive.length;
  words[base + RouteWord.Only] = alive.length === 1 ? alive[0]!.index : -1;
  const size = alive.length < 2
    ? writeWithoutChoice(words, base, alive.length)
    : writeBody(words, base, distribution, alive);
  assert(size <= room, 'a generation stays in the room reserved for it');
  words[base + RouteWord.Size] = size;
  return size;
}

function writeWithoutChoice(words: Int32Array, base: number, liveCount: number): number {
  words[base + RouteWord.Kind] = liveCount === 0 ? RouteKind.None : RouteKind.Single;
  return RouteWord.Body;
}

function writeBody(
  words: Int32Array,
  base: number,
  distribution: Distribution,
  alive: readonly RouteServer[],
): number {
  switch (distribution) {
    case Distribution.Ketama:
      return writeKetama(words, base, alive);
    case Distribution.Modula:
      return writeModula(words, base, alive);
    case Distribution.Random:
      return writeRandom(words, base, alive);
    default:
      return distribution satisfies never;
  }
}

function writeKetama(words: Int32Array, base: number, alive: readonly RouteServer[]): number {
  const { points, owners } = buildKetama(alive);
  assert(points.length > 0, 'the heaviest server has points');
  const bits = bucketBits(points.length);
  const shift = 32 - bits;
  words[base + RouteWord.Kind] = RouteKind.Ketama;
  words[base + RouteWord.Count] = points.length;
  words[base + RouteWord.Shift] = shift;

  const pairs = RouteWord.Body + 2 ** bits;
  let next = 0;
  for (let bucket = 0; bucket < 2 ** bits; bucket++) {
    const start = (bucket << shift) ^ 0x80000000;
    while (next < points.length && points[next]! < start) next++;
    words[base + RouteWord.Body + bucket] = pairs + 2 * next;
  }
  writePairs(words, base + pairs, points, owners);
  const guard = base + pairs + 2 * points.length;
  words[guard] = 0x7fffffff;
  words[guard + 1] = owners[0]!;
  return guard + 2 - base;
}

function writeModula(words: Int32Array, base: number, alive: readonly RouteServer[]): number {
  const { ends, owners } = buildModula(alive);
  words[base + RouteWord.Kind] = RouteKind.Modula;
  words[base + RouteWord.Count] = ends.length;
  words[base + RouteWord.WeightTotal] = ends[ends.length - 1]!;
  writePairs(words, base + RouteWord.Body, ends, owners);
  return RouteWord.Body + 2 * ends.length;
}

function writeRandom(words: Int32Array, base: number, alive: readonly RouteServer[]): number {
  const owners = buildRandom(alive);
  words[base + RouteWord.Kind] = RouteKind.Random;
  words[base + RouteWord.Count] = owners.length;
  words.set(owners, base + RouteWord.Body);
  return RouteWord.Body + owners.length;
}

function writePairs(words: Int32Array, at: number, values: Int32Array, owners: Int32Array): void {
  for (let i = 0; i < values.length; i++) {
    words[at + 2 * i] = values[i]!;
    words[at + 2 * i + 1] = owners[i]!;
  }
}

/** Enough buckets for two per point, within limits that keep small rings in cache. */
function bucketBits(pointCount: number): number {
  const bits = 33 - Math.clz32(pointCount - 1);
  return Math.min(Math.max(bits, BUCKET_BITS_MIN), BUCKET_BITS_MAX);
}
