/**
 * Latency histograms: log-linear buckets over whole microseconds, 8 per power of two.
 *
 *   bucket    0 … 7   8 … 15   16, 17 …   24, 25 …         216 … 223
 *   us        0 … 7   8 … 15   16, 18 …   32, 36 …         2^29 …        (the last one has no end)
 *   width     1       1        2          4                2^26
 *
 * A bucket is at most an eighth as wide as its lower bound, so a quantile read from the buckets is
 * off by less than 12.5 percent of the truth. Lanes count in C++ with the same arithmetic
 * (native/); here the buckets, summed over lanes, are read.
 */
import { Histogram } from './columns.gen.js';

export const BUCKETS: number = Histogram.RowDoubles;

const PER_POWER = 8;
const FIRST_POWER = 3; // 2^3 = 8: below it one bucket per microsecond

/** The bucket of a latency in µs. Fractions are dropped; beyond the range it is the last one. */
export function bucketOf(us: number): number {
  if (us < PER_POWER) return Math.max(0, Math.trunc(us));
  const power = Math.floor(Math.log2(us));
  const step = Math.floor(us / 2 ** (power - FIRST_POWER)) - PER_POWER;
  return Math.min((power - FIRST_POWER + 1) * PER_POWER + step, BUCKETS - 1);
}

/** Smallest latency of the bucket, in µs. `BUCKETS` gives the end of the last one. */
export function lowerBound(bucket: number): number {
  if (bucket < PER_POWER) return bucket;
  const power = Math.floor(bucket / PER_POWER) + FIRST_POWER - 1;
  return (PER_POWER + (bucket % PER_POWER)) * 2 ** (power - FIRST_POWER);
}

/** First latency beyond the bucket, in µs: the lower bound of the next one. */
export function upperBound(bucket: number): number {
  return lowerBound(bucket + 1);
}

/** First bucket whose latencies are all >= 2^power µs; power 0 to 30. */
export function bucketOfPower(power: number): number {
  return bucketOf(2 ** power);
}

/** How many latencies were counted. */
export function count(buckets: ArrayLike<number>): number {
  let total = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) total += buckets[bucket]!;
  return total;
}

/**
 * All latencies together in µs, each taken as the middle of its bucket: within 6.25 percent of the
 * truth from 8 µs up, exact to the µs below.
 */
export function sum(buckets: ArrayLike<number>): number {
  let total = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const held = buckets[bucket]!;
    if (held > 0) total += held * ((lowerBound(bucket) + upperBound(bucket) - 1) / 2);
  }
  return total;
}

/**
 * The latency in µs that a share `q` (0 to 1) of all does not exceed, 0 when nothing was counted.
 * Within the bucket the counted are taken as evenly spread, so the answer lies in the same bucket
 * as the latency of that rank.
 */
export function quantile(buckets: ArrayLike<number>, q: number): number {
  const total = count(buckets);
  if (total === 0) return 0;
  const rank = Math.min(Math.max(Math.ceil(q * total), 1), total);
  let before = 0;
  for (let bucket = 0; bucket < buckets.length; bucket++) {
    const held = buckets[bucket]!;
    if (before + held >= rank) {
      const span = upperBound(bucket) - 1 - lowerBound(bucket);
      return lowerBound(bucket) + (span * (rank - before - 0.5)) / held;
    }
    before += held;
  }
  return lowerBound(buckets.length);
}
