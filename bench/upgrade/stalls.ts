/**
 * From the clients' samples to the stalls of their sessions.
 *
 *   batches of a session   |--------|   |--|     |-----------------|    |---|
 *   window                                  |=========|
 *   its stall there: the longest batch that overlaps it  ^
 *
 * A batch lasts from its write to its last reply. Times are µs of CLOCK_MONOTONIC, which is the same
 * in every process.
 */

const SAMPLE_BYTES = 16; // see client.cc

/** What the clients saw, in the order in which batches were finished. */
export interface Samples {
  readonly sentUs: Float64Array;
  readonly latencyUs: Uint32Array;
  readonly session: Uint32Array;
  readonly sessions: number;
  readonly longestUs: number;
}

export interface Window {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Reads the file that client.cc writes. */
export function readSamples(bytes: Buffer, sessions: number): Samples {
  const count = Math.floor(bytes.length / SAMPLE_BYTES);
  const sentUs = new Float64Array(count);
  const latencyUs = new Uint32Array(count);
  const session = new Uint32Array(count);
  let longestUs = 0;
  for (let i = 0, at = 0; i < count; i++, at += SAMPLE_BYTES) {
    sentUs[i] = bytes.readDoubleLE(at);
    latencyUs[i] = bytes.readUInt32LE(at + 8);
    session[i] = bytes.readUInt32LE(at + 12);
    longestUs = Math.max(longestUs, latencyUs[i]!);
  }
  return { sentUs, latencyUs, session, sessions, longestUs };
}

function endOf(samples: Samples, i: number): number {
  return samples.sentUs[i]! + samples.latencyUs[i]!;
}

/** Index of the first sample that was finished at or after that time. */
function firstFrom(samples: Samples, timeUs: number): number {
  let low = 0;
  let high = samples.sentUs.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (endOf(samples, middle) < timeUs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Calls back for every batch that overlaps the window. */
function forEachIn(
  samples: Samples, { fromUs, toUs }: Window, body: (session: number, latencyUs: number) => void,
): void {
  for (let i = firstFrom(samples, fromUs); i < samples.sentUs.length; i++) {
    if (endOf(samples, i) > toUs + samples.longestUs) return;
    if (samples.sentUs[i]! <= toUs) body(samples.session[i]!, samples.latencyUs[i]!);
  }
}

/** By session, in µs; 0 for a session that had nothing under way in the window. */
export function longestBySession(samples: Samples, window: Window): Float64Array {
  const longest = new Float64Array(samples.sessions);
  forEachIn(samples, window, (session, latencyUs) => {
    longest[session] = Math.max(longest[session]!, latencyUs);
  });
  return longest;
}

/** By session, in µs: the p99.9 of its batches in these windows; 0 for one that has none. */
export function ownP999(samples: Samples, windows: readonly Window[]): Float64Array {
  const latencies: number[][] = Array.from({ length: samples.sessions }, () => []);
  for (const window of windows) {
    forEachIn(samples, window, (session, latencyUs) => latencies[session]!.push(latencyUs));
  }
  return Float64Array.from(latencies, (all) => quantile(all.sort((a, b) => a - b), 0.999));
}

/** Of sorted values: the smallest that at least this share of them does not exceed; of none 0. */
export function quantile(sorted: ArrayLike<number>, share: number): number {
  if (sorted.length === 0) return 0;
  const rank = Math.ceil(share * sorted.length - 1e-9);
  return sorted[Math.min(Math.max(rank, 1), sorted.length) - 1]!;
}

export interface Distribution {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

export function distributionOf(values: ArrayLike<number>): Distribution {
  const sorted = Float64Array.from(values).sort();
  return {
    count: sorted.length,
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    p999: quantile(sorted, 0.999),
    max: quantile(sorted, 1),
  };
}
