/**
 * The share of keys that move, against counting: every hash of a short range, or many real keys,
 * hashed by native/hash.h and looked up in the tables that lanes use.
 */
import t from 'tap';
import type { Test } from 'tap';
import { distributionOf } from '../../../src/routing/distribution.js';
import { HASH_NAMES, hashKindOf } from '../../../src/routing/hash-kinds.js';
import { buildKetama } from '../../../src/routing/ketama.js';
import { movedShare, type KeyMap } from '../../../src/routing/key-share.js';
import { RouteView, routeWordsMax, writeRoute } from '../../../src/routing/route-table.js';
import { compareNames } from '../../../src/routing/server-order.js';
import { HashProgram } from './hash-program.js';
import { Seeded } from './seeded.js';

const random = new Seeded(t);
const KEYS = 60_000;
const FIVE_SIGMA = 0.015; // of the difference of two counts with KEYS keys each

const program = new HashProgram(['-O2']);
t.teardown(() => program.remove());
const keys = program.hash(Array.from({ length: KEYS }, (_, i) =>
  Buffer.from(`user:${random.below(2 ** 31)}:${i}`)));

interface Shape {
  readonly hash?: string;
  readonly distribution?: string;
}

/** Between two neighbours of all ring points no key changes hands: exact, by the lanes' tables. */
function shareByArcs(before: KeyMap, after: KeyMap): number {
  const ends = [before, after].flatMap(({ servers }) => {
    const { points } = buildKetama(servers.map((server, index) => ({ ...server, index })));
    return Array.from(points, (point) => (point ^ 0x80000000) >>> 0);
  });
  const [from, to] = [homeIn(before), homeIn(after)];
  let moved = 0;
  let start = 0;
  for (const last of [...ends.sort((a, b) => a - b), 2 ** 32 - 1]) {
    if (from(last) !== to(last)) moved += last + 1 - start;
    start = last + 1;
  }
  return moved / 2 ** 32;
}

/** Servers as name → weight; the home is the name unless `homes` says another. */
function mapOf(
  weights: { [name: string]: number }, { hash = 'fnv1a_64', distribution = 'ketama' }: Shape = {},
  homes: { [name: string]: string } = {},
): KeyMap {
  const servers = Object.entries(weights)
    .map(([name, weight]) => ({ name, weight, home: homes[name] ?? name }))
    .sort((a, b) => compareNames(a.name, b.name));
  return { hash, distribution, servers };
}

function homeIn(map: KeyMap): (hash: number) => string {
  const distribution = distributionOf(map.distribution)!;
  const servers = map.servers.map(({ name, weight }, index) => ({ name, weight, index }));
  const words = new Int32Array(routeWordsMax(servers.length, distribution));
  writeRoute(words, 0, distribution, servers, servers.map(() => true));
  const view = new RouteView(words, 0);
  return (hash) => map.servers[view.route(hash)]!.home;
}

function countedShare(before: KeyMap, after: KeyMap): number {
  const [from, to] = [homeIn(before), homeIn(after)];
  const [first, second] = [hashKindOf(before.hash)!, hashKindOf(after.hash)!];
  const moved = keys.filter(({ routed }) => from(routed[first]!) !== to(routed[second]!));
  return moved.length / keys.length;
}

function closeTo(t: Test, before: KeyMap, after: KeyMap, what: string): void {
  const share = movedShare(before, after)!;
  const counted = countedShare(before, after);
  const text = `${what}: ${(share * 100).toFixed(2)} %, counted ${(counted * 100).toFixed(2)} %`;
  t.ok(Math.abs(share - counted) < FIVE_SIGMA, text);
}

function randomWeights(most: number): { [name: string]: number } {
  const count = 1 + random.below(12);
  return Object.fromEntries(Array.from({ length: count }, () =>
    [`server${random.below(14)}`, 1 + random.below(most)]));
}

t.test('known shares', (t) => {
  const modula = { distribution: 'modula' };
  const near = (share: number | null, wanted: number, what: string) =>
    t.ok(Math.abs(share! - wanted) < 1e-6, `${what}: ${share}`);
  const three = mapOf({ a: 1, b: 1, c: 1 }, modula);
  const four = mapOf({ a: 1, b: 1, c: 1, d: 1 }, modula);
  near(movedShare(three, four), 3 / 4, 'modula, 3 to 4');
  near(movedShare(four, three), 3 / 4, 'and back');
  near(movedShare(three, mapOf({ a: 2, b: 2, c: 2 }, modula)), 2 / 3, 'weights doubled');
  near(movedShare(four, mapOf({ a: 1, b: 1, c: 1, e: 1 }, modula)), 1 / 4, 'one replaced');
  t.equal(movedShare(three, three), 0, 'nothing changed');
  t.equal(movedShare(mapOf({ a: 1 }), mapOf({ b: 1 })), 1, 'all');
  t.equal(movedShare(mapOf({ a: 1 }), mapOf({ a: 5 }, modula)), 0, 'one server has all');
  t.end();
});

t.test('keys have no home with random', (t) => {
  const any = mapOf({ a: 1, b: 1 }, { distribution: 'random' });
  t.equal(movedShare(any, any), null);
  t.equal(movedShare(mapOf({ a: 1 }), any), null);
  t.equal(movedShare(any, mapOf({ a: 1 })), null);
  t.end();
});

t.test('a home is where the keys are, not its name', (t) => {
  const homes = { a: 'one', b: 'two', c: 'two', d: 'three' };
  const before = mapOf({ a: 1, b: 1 }, {}, homes);
  t.ok(movedShare(before, mapOf({ a: 1, b: 1 }, {}, { a: 'one', b: 'three' }))! > 0.3,
    'another address under the old name');
  t.equal(movedShare(mapOf({ b: 1 }, {}, homes), mapOf({ b: 1, c: 1 }, {}, homes)), 0,
    'two names of one address');
  closeTo(t, before, mapOf({ a: 1, b: 2, c: 2, d: 1 }, {}, homes), 'mixed');
  t.end();
});

t.test('ketama: only the new server gets keys', (t) => {
  const before = mapOf(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`server${i}`, 1])));
  const after = mapOf({ ...Object.fromEntries(before.servers.map(({ name }) => [name, 1])), n: 1 });
  closeTo(t, before, after, '10 to 11');
  t.ok(movedShare(before, after)! < 0.13, 'about an eleventh');
  t.end();
});

t.test('ketama, to the last hash', (t) => {
  for (let i = 0; i < 12; i++) {
    const [before, after] = [mapOf(randomWeights(5)), mapOf(randomWeights(5))];
    const [share, wanted] = [movedShare(before, after)!, shareByArcs(before, after)];
    t.ok(Math.abs(share - wanted) < 1e-12, `${share} is ${wanted}`);
  }
  t.end();
});

for (const distribution of ['ketama', 'modula']) {
  t.test(`random pools, ${distribution}`, (t) => {
    for (let i = 0; i < 12; i++) {
      const most = [1, 5, 1000][i % 3]!;
      closeTo(t, mapOf(randomWeights(most), { distribution }),
        mapOf(randomWeights(most), { distribution }), `weights to ${most}`);
    }
    t.end();
  });
}

t.test('from one distribution to the other', (t) => {
  for (const most of [1, 5, 1_000_000]) {
    const before = mapOf(randomWeights(most));
    const after = mapOf(randomWeights(most), { distribution: 'modula' });
    closeTo(t, before, after, `weights to ${most}`);
    closeTo(t, after, before, 'and back');
  }
  t.end();
});

t.test('weights whose common multiple is beyond the range', (t) => {
  const modula = { distribution: 'modula' };
  closeTo(t, mapOf({ a: 700_000_001, b: 600_000_007 }, modula),
    mapOf({ a: 700_000_001, b: 800_000_011 }, modula), 'huge weights');
  t.end();
});

t.test('crc32, which has 15 bits: every hash counted', (t) => {
  const all = Array.from({ length: 2 ** 15 }, (_, hash) => hash);
  for (const distribution of ['ketama', 'modula']) {
    for (let i = 0; i < 6; i++) {
      const [before, after] = [0, 1].map(() =>
        mapOf(randomWeights(7000), { hash: 'crc32', distribution })) as [KeyMap, KeyMap];
      const [from, to] = [homeIn(before), homeIn(after)];
      const moved = all.filter((hash) => from(hash) !== to(hash)).length / all.length;
      t.ok(Math.abs(movedShare(before, after)! - moved) < 1e-9, `${distribution}: ${moved}`);
    }
  }
  t.end();
});

t.test('another hash function', (t) => {
  for (const distribution of ['ketama', 'modula']) {
    for (const weights of [{ a: 1, b: 1 }, randomWeights(5)]) {
      for (const hash of HASH_NAMES) {
        const before = mapOf(weights, { distribution });
        closeTo(t, before, mapOf(weights, { hash, distribution }), `${distribution}, ${hash}`);
      }
    }
  }
  t.end();
});
