/**
 * From samples to figures: medians per party, and our ratio to each peer.
 *
 * A ratio is the median over repetitions of ours / theirs in the same repetition: the two runs lie
 * within seconds of each other, so what slows the machine for minutes cancels out.
 */
import type { Cell } from './cells.js';
import type { IdleSample } from './idle.js';
import type { Sample } from './load.js';
import { OURS } from './parties.js';

type Runs = readonly (Sample | null)[];

/** Samples of one cell: by party, in order of the repetitions; null where a run failed. */
export interface CellRuns {
  readonly cell: Cell;
  readonly runs: Map<string, (Sample | null)[]>;
}

export interface Ratio {
  readonly rps: number;
  readonly cpu: number;
}

export interface Row {
  readonly party: string;
  /** Runs that counted, of those that were tried. */
  readonly counted: number;
  readonly tried: number;
  readonly median: Sample;
  /** (max - min) / median of rps. */
  readonly spread: number;
  /** Ours to this party; null for ourselves or when we did not run. */
  readonly ratio: Ratio | null;
}

export interface CellSummary {
  readonly cell: Cell;
  readonly rows: readonly Row[];
}

export interface Results {
  readonly machine: Readonly<Record<string, string>>;
  readonly cells: readonly CellSummary[];
  readonly idle: ReadonlyMap<string, IdleSample>;
  /** What an operator of the benchmark should know: parties left out, failed runs. */
  readonly remarks: readonly string[];
}

/** The middle value; the mean of the two middle ones for an even count. NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function medianSample(samples: readonly Sample[]): Sample {
  const of = (pick: (sample: Sample) => number): number => median(samples.map(pick));
  return {
    requests: of((s) => s.requests), rps: of((s) => s.rps), p50Ms: of((s) => s.p50Ms),
    p99Ms: of((s) => s.p99Ms), cpuUs: of((s) => s.cpuUs), redisUs: of((s) => s.redisUs),
    cores: of((s) => s.cores),
  };
}

function ratioOf(ours: Runs, theirs: Runs): Ratio | null {
  const pairs = ours.map((sample, at) => [sample, theirs[at]] as const)
    .filter((pair): pair is [Sample, Sample] => pair[0] !== null && !!pair[1]);
  if (pairs.length === 0) return null;
  return {
    rps: median(pairs.map(([a, b]) => a.rps / b.rps)),
    cpu: median(pairs.map(([a, b]) => a.cpuUs / b.cpuUs)),
  };
}

/** The figures of one cell; parties without a single good run are left out. */
export function summarize({ cell, runs }: CellRuns): CellSummary {
  const ours = runs.get(OURS) ?? [];
  const rows: Row[] = [];
  for (const [party, samples] of runs) {
    const good = samples.filter((sample) => sample !== null);
    if (good.length === 0) continue;
    const rps = good.map((sample) => sample.rps);
    const middle = medianSample(good);
    rows.push({
      party, counted: good.length, tried: samples.length, median: middle,
      spread: (Math.max(...rps) - Math.min(...rps)) / middle.rps,
      ratio: party === OURS ? null : ratioOf(ours, samples),
    });
  }
  return { cell, rows };
}
