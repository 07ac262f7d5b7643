/** The number of ketama points, in float32, against values computed by twemproxy's own C code. */
import t from 'tap';
import { ketamaPointCount } from '../../../src/config/check.js';

t.test('equal weights: 160 points, but for the counts where rounding leaves 156', (t) => {
  const rounded = new Set([
    25, 47, 50, 55, 61, 71, 94, 100, 107, 109, 110, 115, 122, 142, 159, 163, 188, 193, 200,
  ]);
  for (let servers = 1; servers <= 200; servers++) {
    const expected = rounded.has(servers) ? 156 : 160;
    t.equal(ketamaPointCount(1, servers, servers), expected, `${servers} servers`);
  }
  t.end();
});

t.test('unequal weights', (t) => {
  const counts = (weights: number[]): number[] => {
    const total = weights.reduce((a, b) => a + b);
    return weights.map((weight) => ketamaPointCount(weight, total, weights.length));
  };
  t.strictSame(counts([1, 2, 3, 10]), [40, 80, 120, 400]);
  t.strictSame(counts([100000, 1]), [316, 0]);
  t.equal(counts([7, 11, 13]).reduce((a, b) => a + b), 476);
  t.end();
});
