/** Buckets against the definition, quantiles and sums against a sorted list of latencies. */
import t from 'tap';
import fc from 'fast-check';
import {
  BUCKETS, bucketOf, bucketOfPower, count, lowerBound, quantile, sum, upperBound,
} from '../../../src/tables/histogram.js';

/** The definition that C++ follows, word for word; valid below 2^31. */
function bucketByDefinition(us: number): number {
  if (us < 8) return us;
  const e = 31 - Math.clz32(us);
  return Math.min((e - 2) * 8 + ((us >> (e - 3)) & 7), 223);
}

function fill(latencies: readonly number[]): Float64Array {
  const buckets = new Float64Array(BUCKETS);
  for (const us of latencies) buckets[bucketOf(us)]! += 1;
  return buckets;
}

const latency = fc.oneof(
  fc.integer({ min: 0, max: 40 }),
  fc.integer({ min: 0, max: 5_000 }),
  fc.integer({ min: 0, max: 2 ** 30 - 1 }),
);

t.test('bucketOf follows the definition', async (t) => {
  t.equal(BUCKETS, 224);
  for (const us of [0, 1, 7, 8, 9, 15, 16, 17, 18, 31, 32, 999_999, 2 ** 30 - 1, 2 ** 31 - 1]) {
    t.equal(bucketOf(us), bucketByDefinition(us), `${us} us`);
  }
  for (let power = 3; power < 31; power++) {
    for (const us of [2 ** power - 1, 2 ** power, 2 ** power + 1]) {
      t.equal(bucketOf(us), bucketByDefinition(us), `${us} us`);
    }
  }
  t.doesNotThrow(() => fc.assert(
    fc.property(latency, (us) => bucketOf(us) === bucketByDefinition(us)),
  ));
});

t.test('latencies outside the range land at its ends', async (t) => {
  t.equal(bucketOf(-3), 0);
  t.equal(bucketOf(0.9), 0);
  t.equal(bucketOf(8.99), 8);
  t.equal(bucketOf(2 ** 30), 223);
  t.equal(bucketOf(2 ** 52), 223);
});

t.test('bounds tile the range without gap or overlap', async (t) => {
  t.equal(lowerBound(0), 0);
  for (let bucket = 0; bucket < BUCKETS; bucket++) {
    t.equal(bucketOf(lowerBound(bucket)), bucket, `lower bound of ${bucket}`);
    t.equal(bucketOf(upperBound(bucket) - 1), bucket, `last latency of ${bucket}`);
  }
  t.equal(upperBound(BUCKETS - 1), 2 ** 30);
});

t.test('bucketOfPower separates what is below a power of two from the rest', async (t) => {
  for (let power = 0; power < 30; power++) {
    t.equal(lowerBound(bucketOfPower(power)), 2 ** power);
  }
});

t.test('an empty histogram answers 0', async (t) => {
  t.equal(quantile(new Float64Array(BUCKETS), 0.99), 0);
  t.equal(sum(new Float64Array(BUCKETS)), 0);
  t.equal(count(new Float64Array(BUCKETS)), 0);
});

t.test('small latencies are exact', async (t) => {
  const buckets = fill([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  t.equal(quantile(buckets, 0.5), 5);
  t.equal(quantile(buckets, 0.9), 9);
  t.equal(quantile(buckets, 1), 10);
  t.equal(quantile(buckets, 0), 1);
  t.equal(sum(buckets), 55);
});

t.test('a quantile lies in the bucket of the latency of that rank', async (t) => {
  const latencies = fc.array(latency, { minLength: 1, maxLength: 300 });
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  t.doesNotThrow(() => fc.assert(fc.property(latencies, share, (list, q) => {
    const sorted = [...list].sort((a, b) => a - b);
    const truth = sorted[Math.max(Math.ceil(q * sorted.length), 1) - 1]!;
    const read = quantile(fill(list), q);
    return bucketOf(read) === bucketOf(truth) && Math.abs(read - truth) <= truth / 8;
  }), { numRuns: 500 }));
});

t.test('quantiles do not fall when q grows', async (t) => {
  const latencies = fc.array(latency, { minLength: 1, maxLength: 100 });
  t.doesNotThrow(() => fc.assert(fc.property(latencies, (list) => {
    const buckets = fill(list);
    let last = 0;
    for (let step = 0; step <= 100; step++) {
      const now = quantile(buckets, step / 100);
      if (now < last) return false;
      last = now;
    }
    return true;
  })));
});

t.test('count is exact, sum within a sixteenth', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(latency, { maxLength: 300 }), (list) => {
    const buckets = fill(list);
    const truth = list.reduce((total, us) => total + us, 0);
    return count(buckets) === list.length && Math.abs(sum(buckets) - truth) <= truth / 16;
  })));
});
