/**
 * The ketama ring against rings that were computed by twemproxy's own code.
 */
import { createHash } from 'node:crypto';
import t from 'tap';
import { buildKetama, ketamaPointCount, ketamaPointsMax } from '../../../src/routing/ketama.js';
import { compareNames, orderServers } from '../../../src/routing/server-order.js';
import type { RouteServer } from '../../../src/routing/server-order.js';

/** Servers in the given order; routing does not sort them again. */
function serversOf(names: readonly string[], weights: readonly number[] = []): RouteServer[] {
  return names.map((name, index) => ({ name, weight: weights[index] ?? 1, index }));
}

function numbered(count: number, nameOf: (i: number) => string): RouteServer[] {
  return serversOf(Array.from({ length: count }, (_, i) => nameOf(i + 1)));
}

/** The ring as lines "value index\n", values unsigned. */
function linesOf(servers: readonly RouteServer[]): string[] {
  const { points, owners } = buildKetama(servers);
  return Array.from(points, (point, i) => `${(point ^ 0x80000000) >>> 0} ${owners[i]}\n`);
}

function pointsPerServer(servers: readonly RouteServer[]): number[] {
  const counts = servers.map(() => 0);
  for (const owner of buildKetama(servers).owners) counts[owner]! += 1;
  return counts;
}

t.test('whole rings', async (t) => {
  const rings: [what: string, servers: RouteServer[], points: number, md5: string][] = [
    ['server1..4', numbered(4, (i) => `server${i}`), 640, '38f6be3b02ec8c9fdb763e9c8c9b66b7'],
    ['127.0.0.1:6371..6373', numbered(3, (i) => `127.0.0.1:${6370 + i}`), 480,
      '8eb7e3292031d029de49909c379542ba'],
    ['s1..s25', numbered(25, (i) => `s${i}`), 3900, 'b19ed94f32027b172ec46526093cec61'],
    ['w1..w4 of weights 1,2,3,10', serversOf(['w1', 'w2', 'w3', 'w4'], [1, 2, 3, 10]), 640,
      '07d60c2e94b395fbe41346a904805f77'],
    ['x1..x3 of weights 7,11,13', serversOf(['x1', 'x2', 'x3'], [7, 11, 13]), 476,
      '4302a9ef2da290e30c29549241ba98f5'],
    ['10.0.0.1..100:6379', numbered(100, (i) => `10.0.0.${i}:6379`), 15600,
      '959f9a3d4a26fa7b7151f802457e177c'],
  ];
  for (const [what, servers, points, md5] of rings) {
    const lines = linesOf(servers);
    t.equal(lines.length, points, what);
    t.equal(createHash('md5').update(lines.join('')).digest('hex'), md5, what);
  }
  t.equal(linesOf(numbered(4, (i) => `server${i}`))[0], '9796559 2\n');
});

t.test('some pool sizes give 156 points to each server', async (t) => {
  const odd = new Set([
    25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122, 142, 159, 163, 188, 193, 200,
  ]);
  for (let n = 1; n <= 200; n++) {
    t.equal(ketamaPointCount(1, n, n), odd.has(n) ? 156 : 160, `${n} servers`);
  }
  // Only the share counts, not the weight itself.
  t.equal(ketamaPointCount(7, 7 * 25, 25), 156);
  t.equal(ketamaPointCount(7, 7 * 24, 24), 160);
});

t.test('weights', async (t) => {
  t.same(pointsPerServer(serversOf(['a', 'b', 'c', 'd'], [1, 2, 3, 10])), [40, 80, 120, 400]);
  t.same(pointsPerServer(serversOf(['a', 'b'], [100000, 1])), [316, 0]);
  t.same(pointsPerServer(serversOf(['a', 'b'], [1, 100000])), [0, 316]);
});

t.test('points are in signed order of the flipped value, equal ones by index', async (t) => {
  const { points, owners } = buildKetama(numbered(118, (i) => `10.0.0.${i}:6379`));
  t.ok(points.every((point, i) => i === 0 || points[i - 1]! <= point));
  const shared = points.indexOf(4294193668 ^ 0x80000000);
  t.same([...points.slice(shared, shared + 2)], Array(2).fill(4294193668 ^ 0x80000000));
  t.same([...owners.slice(shared, shared + 2)], [72, 117], 'the lower index first');
});

t.test('indexes of a live subset are those of the pool', async (t) => {
  const all = numbered(4, (i) => `server${i}`);
  const { owners } = buildKetama(all.filter(({ index }) => index !== 1));
  t.same([...new Set(owners)].sort(), [0, 2, 3]);
  t.equal(owners.length, 480);
  t.throws(() => buildKetama([...all].reverse()), { message: /in order/ });
});

t.test('no weights make a ring larger than its reserve', async (t) => {
  for (const weights of [[1, 1, 1], [1, 2, 4], [1, 1, 2 ** 30], [3, 3, 1], [999, 1000, 1001]]) {
    const counts = pointsPerServer(serversOf(['a', 'b', 'c'], weights));
    t.ok(counts.reduce((a, b) => a + b) <= ketamaPointsMax(3), String(weights));
  }
});

t.test('server order: shorter names first, then by bytes', async (t) => {
  const sorted = (...names: string[]): string[] => names.sort(compareNames);
  t.same(sorted('zz', 'aaa', 'b'), ['b', 'zz', 'aaa']);
  t.same(sorted('10.0.0.10:6379', '10.0.0.9:6379'), ['10.0.0.9:6379', '10.0.0.10:6379']);
  t.same(sorted('b', 'B', 'a', 'A'), ['A', 'B', 'a', 'b']);
  t.same(sorted('é', 'abc', 'z'), ['z', 'é', 'abc'], 'lengths are bytes');
  t.same(sorted('\u{1f600}', '\uffee0'), ['\uffee0', '\u{1f600}'], 'not UTF-16 units');
  t.same(orderServers([{ name: 'zz', weight: 5 }, { name: 'b', weight: 3 }]), [
    { name: 'b', weight: 3, index: 0 }, { name: 'zz', weight: 5, index: 1 },
  ]);
});
