/** Stalls of sessions from samples: against a plain search over all samples, and by hand. */
import t from 'tap';
import {
  distributionOf, longestBySession, ownP999, quantile, readSamples, type Samples,
} from '../../../bench/upgrade/stalls.js';
import { dice } from '../../support/seed.js';

interface Batch {
  readonly sentUs: number;
  readonly latencyUs: number;
  readonly session: number;
}

/** As the clients' program writes them: in the order in which they were finished. */
function samplesOf(batches: readonly Batch[], sessions: number): Samples {
  const sorted = [...batches].sort((a, b) => a.sentUs + a.latencyUs - b.sentUs - b.latencyUs);
  const bytes = Buffer.alloc(16 * sorted.length);
  sorted.forEach(({ sentUs, latencyUs, session }, i) => {
    bytes.writeDoubleLE(sentUs, 16 * i);
    bytes.writeUInt32LE(latencyUs, 16 * i + 8);
    bytes.writeUInt32LE(session, 16 * i + 12);
  });
  return readSamples(bytes, sessions);
}

t.test('a stall is the longest batch that overlaps the window', (t) => {
  const samples = samplesOf([
    { session: 0, sentUs: 100, latencyUs: 50 }, // ends before
    { session: 0, sentUs: 160, latencyUs: 40 }, // ends as the window begins
    { session: 0, sentUs: 210, latencyUs: 30 },
    { session: 1, sentUs: 50, latencyUs: 5000 }, // spans it
    { session: 1, sentUs: 220, latencyUs: 10 },
    { session: 2, sentUs: 300, latencyUs: 700 }, // begins as it ends
    { session: 3, sentUs: 301, latencyUs: 900 }, // begins behind it
  ], 5);
  const window = { fromUs: 200, toUs: 300 };
  t.strictSame([...longestBySession(samples, window)], [40, 5000, 700, 0, 0]);
  t.strictSame([...longestBySession(samplesOf([], 2), window)], [0, 0], 'no batch at all');
  t.end();
});

t.test('any windows over any batches', (t) => {
  const game = dice(t);
  const below = (limit: number): number => game.below(limit);
  const sessions = 20;
  const batches = Array.from({ length: 3000 }, () => ({
    session: below(sessions),
    sentUs: below(1_000_000),
    latencyUs: below(10) === 0 ? below(90_000) : below(800),
  }));
  const samples = samplesOf(batches, sessions);
  for (let i = 0; i < 100; i++) {
    const fromUs = below(1_100_000);
    const toUs = fromUs + below(50_000);
    const longest = new Array<number>(sessions).fill(0);
    for (const { session, sentUs, latencyUs } of batches) {
      if (sentUs > toUs || sentUs + latencyUs < fromUs) continue;
      longest[session] = Math.max(longest[session]!, latencyUs);
    }
    t.strictSame([...longestBySession(samples, { fromUs, toUs })], longest);
  }
  t.end();
});

t.test('the p99.9 of a session is its own', (t) => {
  const batches = Array.from({ length: 2000 }, (_, i) => [
    { session: 0, sentUs: i * 1000, latencyUs: i === 7 ? 900 : 100 },
    { session: 1, sentUs: i * 1000 + 1, latencyUs: i % 500 === 0 ? 800 : 200 },
  ]).flat();
  const all = { fromUs: 0, toUs: 2_000_000 };
  t.strictSame([...ownP999(samplesOf(batches, 3), [all])], [100, 800, 0]);
  const late = { fromUs: 8500, toUs: 8900 };
  t.strictSame([...ownP999(samplesOf(batches, 3), [late])], [0, 0, 0], 'none under way there');
  t.end();
});

t.test('quantiles', (t) => {
  const thousand = Array.from({ length: 1000 }, (_, i) => i + 1);
  t.equal(quantile(thousand, 0.5), 500);
  t.equal(quantile(thousand, 0.999), 999);
  t.equal(quantile(thousand, 1), 1000);
  t.equal(quantile([7], 0.001), 7);
  t.equal(quantile([], 0.5), 0);
  t.strictSame(distributionOf([30, 4, 100]), { count: 3, p50: 30, p99: 100, p999: 100, max: 100 });
  t.end();
});
