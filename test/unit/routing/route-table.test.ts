/**
 * RouteView against the plain definitions of the distributions, for random and for boundary hashes,
 * with all servers and after removing some.
 */
import t from 'tap';
import type { Test } from 'tap';
import { Distribution, distributionOf } from '../../../src/routing/distribution.js';
import { buildKetama } from '../../../src/routing/ketama.js';
import {
  RouteKind, RouteView, RouteWord, routeWordsMax, writeRoute,
} from '../../../src/routing/route-table.js';
import type { RouteServer } from '../../../src/routing/server-order.js';
import { Seeded } from './seeded.js';

const STALE = 0x5a5a5a5a; // what lies in the words before a generation is written
const random = new Seeded(t);

function serversOf(weights: readonly number[], nameOf = (i: number) => `server${i + 1}`) {
  return weights.map((weight, index): RouteServer => ({ name: nameOf(index), weight, index }));
}

function equal(count: number): number[] {
  return new Array<number>(count).fill(1);
}

/** Writes a generation into the middle of stale words and checks that it kept to its room. */
function viewOf(
  t: Test,
  distribution: Distribution,
  servers: readonly RouteServer[],
  live: readonly boolean[],
): RouteView {
  const room = routeWordsMax(servers.length, distribution);
  const base = 37;
  const words = new Int32Array(base + room + 50).fill(STALE);
  const size = writeRoute(words, base, distribution, servers, live);
  if (size > room) t.fail('more words than reserved');
  if (words[base + RouteWord.Size] !== size) t.fail('the header does not say the size');
  const outside = [...words.subarray(0, base), ...words.subarray(base + size)];
  if (outside.some((word) => word !== STALE)) t.fail('a word outside was written');
  return new RouteView(words, base, 1);
}

/** The definition of ketama, read literally: a linear search over unsigned points. */
function naiveKetama(alive: readonly RouteServer[]): (hash: number) => number {
  const { points, owners } = buildKetama(alive);
  const values = Array.from(points, (point) => (point ^ 0x80000000) >>> 0);
  return (hash) => {
    const at = values.findIndex((value) => value >= hash >>> 0);
    return owners[at < 0 ? 0 : at]!;
  };
}

/** The definition of modula: every server written down weight times. */
function naiveModula(alive: readonly RouteServer[]): (hash: number) => number {
  const owners = alive.flatMap(({ weight, index }) => new Array<number>(weight).fill(index));
  return (hash) => owners[(hash >>> 0) % owners.length]!;
}

/** Hashes at which a comparison, a sign or a wrap could go wrong, and `count` random ones. */
function hashesFor(alive: readonly RouteServer[], count: number): number[] {
  const edges = [0, 1, 0x7ffffffe, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff];
  const { points } = buildKetama(alive);
  const near = [points[0]!, points[points.length - 1]!];
  for (let i = 0; i < 200; i++) near.push(points[random.below(points.length)]!);
  for (const point of near) edges.push(...[-1, 0, 1].map((d) => ((point ^ 0x80000000) + d) >>> 0));
  for (let i = 0; i < 300; i++) edges.push(((random.below(1 << 12) << 20) - (i & 1)) >>> 0);
  for (let i = 0; i < count; i++) edges.push(random.next() >>> 0);
  return edges;
}

/** Compares the view with the definition; hashes come signed and unsigned. */
function compare(
  t: Test,
  distribution: Distribution.Ketama | Distribution.Modula,
  servers: readonly RouteServer[],
  live: readonly boolean[],
): void {
  const alive = servers.filter((_, i) => live[i]);
  const view = viewOf(t, distribution, servers, live);
  const naive = distribution === Distribution.Ketama ? naiveKetama(alive) : naiveModula(alive);
  const wrong = hashesFor(alive, 3000).filter((hash) => {
    const owner = naive(hash);
    return view.route(hash) !== owner || view.route(hash | 0) !== owner;
  });
  const what = `${distribution}: weights ${alive.map(({ weight }) => weight).slice(0, 12)}`;
  t.same(wrong, [], `${what}, ${alive.length} of ${servers.length} live`);
}

function liveExcept(count: number, dead: readonly number[]): boolean[] {
  return Array.from({ length: count }, (_, i) => !dead.includes(i));
}

const POOLS: readonly (readonly number[])[] = [
  equal(2), equal(3), equal(4), equal(7), equal(25), equal(100),
  [1, 2, 3, 10], [7, 11, 13], [100000, 1], [1, 100000, 1], [5000, 1, 1, 1, 5000],
];

for (const distribution of [Distribution.Ketama, Distribution.Modula] as const) {
  const name = distribution === Distribution.Ketama ? 'ketama' : 'modula';

  t.test(`${name}, all servers live`, async (t) => {
    for (const weights of POOLS) {
      compare(t, distribution, serversOf(weights), liveExcept(weights.length, []));
    }
  });

  t.test(`${name}, after removing servers`, async (t) => {
    for (const weights of POOLS.filter(({ length }) => length > 2)) {
      const count = weights.length;
      const dead = [[0], [count - 1], [random.below(count)]];
      if (count > 4) dead.push([0, 1], [1, 2, count - 1]);
      for (const some of dead) {
        compare(t, distribution, serversOf(weights), liveExcept(count, some));
      }
    }
  });
}

t.test('where keys went in twemproxy: fnv1a_64 and ketama over server1..4', async (t) => {
  const view = viewOf(t, Distribution.Ketama, serversOf(equal(4)), liveExcept(4, []));
  const fnv1a = (key: string): number => {
    let h = 0x84222325;
    for (const byte of new Int8Array(Buffer.from(key))) h = Math.imul(h ^ byte, 0x1b3);
    return h;
  };
  const homes = {
    'apple': 1, 'key:000000000001': 3, 'foo': 1, 'bar': 4, 'user:1000': 1, '中文': 2,
  };
  for (const [key, home] of Object.entries(homes)) {
    t.equal(view.route(fnv1a(key)), home - 1, key);
  }
});

t.test('an equal point belongs to the lower index', async (t) => {
  const servers = serversOf(equal(118), (i) => `10.0.0.${i + 1}:6379`);
  const shared = 4294193668;
  const route = (dead: readonly number[]): number =>
    viewOf(t, Distribution.Ketama, servers, liveExcept(118, dead)).route(shared);
  t.equal(route([]), 72);
  t.equal(route([72]), 117, 'without the first, the second');
});

t.test('huge weights of modula', async (t) => {
  // Too many places to write them down: counted instead.
  const weights = [1, 1, 1, 2 ** 30, 1, 7, 2 ** 29, 1];
  const total = weights.reduce((a, b) => a + b);
  const servers = serversOf(weights);
  const view = viewOf(t, Distribution.Modula, servers, liveExcept(weights.length, []));
  let first = 0;
  weights.forEach((weight, i) => {
    for (const place of [first, first + weight - 1]) {
      t.equal(view.route(place), i, `place ${place}`);
      t.equal(view.route((place + total) | 0), i, `place ${place}, once round`);
    }
    first += weight;
  });
  t.throws(() => viewOf(t, Distribution.Modula, serversOf([2 ** 30, 2 ** 30]), [true, true]),
    { message: /less than 2\^31/ });
});

t.test('more servers of modula than buckets at the least', async (t) => {
  const servers = serversOf(Array.from({ length: 5000 }, (_, i) => 1 + (i % 50)));
  const view = viewOf(t, Distribution.Modula, servers, liveExcept(5000, []));
  const naive = naiveModula(servers);
  const hashes = Array.from({ length: 5000 }, () => random.next());
  t.same(hashes.filter((hash) => view.route(hash) !== naive(hash)), []);
});

t.test('random uses all live servers alike, and no other', async (t) => {
  const servers = serversOf([1, 100, 1, 1, 1]);
  const view = viewOf(t, Distribution.Random, servers, liveExcept(5, [3]));
  const counts = [0, 0, 0, 0, 0];
  for (let i = 0; i < 40000; i++) counts[view.route(0)]! += 1;
  t.equal(counts[3], 0);
  for (const i of [0, 1, 2, 4]) t.ok(counts[i]! > 9000 && counts[i]! < 11000, `${counts[i]}`);
});

t.test('two lanes have their own random sequences', async (t) => {
  const { words, base } = viewOf(t, Distribution.Random, serversOf(equal(8)), liveExcept(8, []));
  const sequenceOf = (view: RouteView): string =>
    Array.from({ length: 64 }, () => view.route(0)).join('');
  t.equal(sequenceOf(new RouteView(words, base, 5)), sequenceOf(new RouteView(words, base, 5)));
  t.not(sequenceOf(new RouteView(words, base)), sequenceOf(new RouteView(words, base)));
  t.throws(() => new RouteView(words, base, 0), { message: /seed/ });
});

for (const [d, name] of ['ketama', 'modula', 'random'].entries()) {
  const distribution = d as Distribution;

  t.test(`${name}: one live server gets everything, none nothing`, async (t) => {
    t.equal(distributionOf(name), distribution);
    const servers = serversOf([3, 1, 2]);
    for (const only of [0, 1, 2]) {
      const view = viewOf(t, distribution, servers, [0, 1, 2].map((i) => i === only));
      t.equal(view.words[view.base + RouteWord.Kind], RouteKind.Single);
      for (const hash of hashesFor(servers, 20)) {
        if (view.route(hash) !== only) t.fail(`hash ${hash} left the only server`);
      }
    }
    const none = viewOf(t, distribution, servers, [false, false, false]);
    t.equal(none.words[none.base + RouteWord.Kind], RouteKind.None);
    t.equal(none.route(0), -1);
    t.equal(none.route(0xffffffff), -1);
    t.equal(viewOf(t, distribution, serversOf([9]), [true]).route(12345), 0, 'a pool of one');
  });

  t.test(`${name}: a lookup allocates nothing`, async (t) => {
    const view = viewOf(t, distribution, serversOf([1, 2, 3]), liveExcept(3, []));
    const hashes = Int32Array.from({ length: 4096 }, () => random.next());
    const grownBytes = (): number => {
      const before = process.memoryUsage().heapUsed;
      let sum = 0;
      for (let i = 0; i < 100_000; i++) sum = (sum + view.route(hashes[i & 4095]!)) | 0;
      return sum === -1 ? NaN : process.memoryUsage().heapUsed - before;
    };
    // Until the compiler has seen enough of it, any arithmetic allocates; 1 byte per lookup is
    // far less than one number.
    let grown = NaN;
    for (let round = 0; round < 200 && !(grown >= 0 && grown < 100_000); round++) {
      grown = grownBytes();
    }
    t.ok(grown >= 0 && grown < 100_000, `${grown} bytes in 100,000 lookups`);
  });
}

t.test('a view moves to the next generation', async (t) => {
  const servers = serversOf(equal(3));
  const room = routeWordsMax(3, Distribution.Ketama);
  const words = new Int32Array(2 * room);
  writeRoute(words, 0, Distribution.Ketama, servers, [true, true, true]);
  writeRoute(words, room, Distribution.Ketama, servers, [true, false, true]);
  const view = new RouteView(words, 0);
  const moved = naiveKetama(servers);
  const hash = Array.from({ length: 100 }, () => random.next()).find((h) => moved(h) === 1)!;
  t.equal(view.route(hash), 1);
  view.select(room);
  t.equal(view.route(hash), naiveKetama([servers[0]!, servers[2]!])(hash));
  t.equal(words[room + RouteWord.LiveCount], 2);
});

t.test('a generation refuses a place that is too small', async (t) => {
  const servers = serversOf(equal(3));
  const words = new Int32Array(routeWordsMax(3, Distribution.Ketama));
  t.throws(() => writeRoute(words, 1, Distribution.Ketama, servers, [true, true, true]),
    { message: /fits its place/ });
  t.throws(() => writeRoute(words, 0, Distribution.Ketama, servers, [true]),
    { message: /live or not/ });
});
