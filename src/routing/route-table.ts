/**
 * One routing generation of one pool as Int32 words in shared memory: hash in, backend out.
 *
 *            0     1      2          3     4      5            6     7
 *   header | kind | count | liveCount | only | shift | weightTotal | size | 0 |
 *
 *   None, Single   nothing more; Single's server is `only`
 *   Ketama         | buckets | count pairs (point, owner) | guard pair |
 *   Modula         | buckets | count pairs (last place, owner) |
 *   Random         | count owners |
 *
 *   A bucket covers the positions that share their upper bits. It holds the offset, from the
 *   generation's base, of the first pair that is not below all of them:
 *
 *      position >>> shift ──► bucket ──► pair, pair, … until one is not below the position
 *
 *   Ketama: the position is the hash. There are 2^(32 - shift) buckets, at least twice as many as
 *   points (up to 800 servers), so the walk is a step or two. Points are stored ^ 0x80000000, so
 *   that signed compares order them. The guard's point, 0x7fffffff, ends every walk, and its owner
 *   is that of the first point, so that the ring closes without a branch.
 *   Modula: the position is the hash modulo weightTotal. While that is at most 4096, shift is 0 and
 *   there is nothing to walk.
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
  Count = 1, // pairs without the guard, or owners
  LiveCount = 2, // servers that are live
  Only = 3, // Single: index of the server; else -1
  Shift = 4, // Ketama, Modula: what to shift a position by to get its bucket
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
    switch (this.words[this.base + RouteWord.Kind] as RouteKind) {
      case RouteKind.Ketama:
        return this.walk(hash, hash ^ 0x80000000);
      case RouteKind.Modula: {
        const weightTotal = this.words[this.base + RouteWord.WeightTotal]!;
        const place = ((hash >>> 0) % (weightTotal >>> 0)) | 0;
        return this.walk(place, place);
      }
      case RouteKind.Random:
        return this.routeRandom();
      default:
        return this.words[this.base + RouteWord.Only]!;
    }
  }

  /** `value` is the position in the form in which pairs hold it. */
  private walk(position: number, value: number): number {
    const words = this.words;
    const base = this.base;
    const bucket = position >>> words[base + RouteWord.Shift]!;
    let pair = base + words[base + RouteWord.Body + bucket]!;
    while (words[pair]! < value) pair += 2;
    return words[pair + 1]!;
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
      return RouteWord.Body + placeBucketsMax(serverCount) + 2 * serverCount;
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

  const guard = writePairs(words, base, 2 ** bits, points, owners, 0x80000000);
  words[base + guard] = 0x7fffffff;
  words[base + guard + 1] = owners[0]!;
  return guard + 2;
}

function writeModula(words: Int32Array, base: number, alive: readonly RouteServer[]): number {
  const { lasts, owners } = buildModula(alive);
  const placeLast = lasts[lasts.length - 1]!;
  let shift = 0;
  while (placeLast >>> shift >= placeBucketsMax(lasts.length)) shift++;
  words[base + RouteWord.Kind] = RouteKind.Modula;
  words[base + RouteWord.Count] = lasts.length;
  words[base + RouteWord.Shift] = shift;
  words[base + RouteWord.WeightTotal] = placeLast + 1;
  return writePairs(words, base, (placeLast >>> shift) + 1, lasts, owners, 0);
}

function writeRandom(words: Int32Array, base: number, alive: readonly RouteServer[]): number {
  const owners = buildRandom(alive);
  words[base + RouteWord.Kind] = RouteKind.Random;
  words[base + RouteWord.Count] = owners.length;
  words.set(owners, base + RouteWord.Body);
  return RouteWord.Body + owners.length;
}

/**
 * Writes the buckets and the pairs that they lead to; the header has the shift already. `flip` is
 * what turns a position into a pair's value. Returns the offset of the first word after the pairs.
 */
function writePairs(
  words: Int32Array,
  base: number,
  bucketCount: number,
  values: Int32Array,
  owners: Int32Array,
  flip: number,
): number {
  const shift = words[base + RouteWord.Shift]!;
  const pairs = RouteWord.Body + bucketCount;
  let next = 0;
  for (let bucket = 0; bucket < bucketCount; bucket++) {
    const start = (bucket << shift) ^ flip;
    while (next < values.length && values[next]! < start) next++;
    words[base + RouteWord.Body + bucket] = pairs + 2 * next;
  }
  for (let i = 0; i < values.length; i++) {
    words[base + pairs + 2 * i] = values[i]!;
    words[base + pairs + 2 * i + 1] = owners[i]!;
  }
  return pairs + 2 * values.length;
}

/** Two buckets per pair or more, within limits. A ring is searched fastest while it is in cache. */
function bucketBits(pairCount: number): number {
  const bits = 33 - Math.clz32(pairCount - 1);
  return Math.min(Math.max(bits, BUCKET_BITS_MIN), BUCKET_BITS_MAX);
}

/** The most buckets that modula spreads its places over. */
function placeBucketsMax(serverCount: number): number {
  return Math.max(4096, 2 ** bucketBits(serverCount));
}
