/**
 * The command line of the benchmark.
 *
 * --help prints USAGE below. Wrong options end the program with one line and exit code 2 (the
 * caller prints OptionError's message).
 */
import { parseArgs } from 'node:util';

export class OptionError extends Error {}

export interface Options {
  /** Names or globs (`get-*`) of the cells to run; null = the default set. */
  readonly only: readonly string[] | null;
  /** Names of the parties to run; null = all that are installed. */
  readonly parties: readonly string[] | null;
  /** Repetitions of every cell, 1..99. */
  readonly reps: number;
  /** How long one run should last, in seconds, 0.1..60. */
  readonly seconds: number;
  /** Keys loaded into every data set, 1,000..10,000,000. */
  readonly keys: number;
  /** Idle connections of the `idle` cell, 10..50,000; fewer where the descriptor limit is lower. */
  readonly idle: number;
  readonly quick: boolean;
  readonly realTime: boolean;
  readonly json: string | null;
  readonly svg: string | null;
  readonly markdown: string | null;
  readonly publish: boolean;
  readonly list: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench -- [options]

  --quick            GET at P=1, 16, 64 and MGET10 at P=16 only, 2 repetitions of 1 s
  --only CELLS       comma separated cell names or globs: get-p16-c50,mget10-*,connect,idle;
                     any (get|set)-p<pipeline>-c<clients>[-1k] or (mget10|mset10)-p<pipeline> works
  --parties NAMES    comma separated, of: direct,nutcracker,haproxy,baton,unsafe
  --reps N           repetitions of every cell (3)
  --seconds S        length of one run; requests are counted out by a calibration (2)
  --keys N           keys loaded into every data set (1000000)
  --idle N           connections of the idle cell (10000)
  --no-rt            do not run the parties under chrt -r 1
  --json FILE        write every sample and the summary
  --svg FILE         write the chart
  --markdown FILE    write the tables as markdown
  --publish          rewrite bench/README.md's last result, bench/result.json, bench/result.svg
  --list             print the names of the default cells
`;

const QUICK_CELLS = ['get-p1-c50', 'get-p16-c50', 'get-p64-c50', 'mget10-p16'];

function numberBetween(name: string, text: string | undefined, low: number, high: number): number {
  const value = Number(text);
  if (!(value >= low && value <= high)) {
    throw new OptionError(`--${name} ${text}: must be a number from ${low} to ${high}`);
  }
  return value;
}

function names(text: string | undefined): string[] | null {
  return text === undefined ? null : text.split(',').map((s) => s.trim()).filter((s) => s !== '');
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        quick: { type: 'boolean', default: false },
        only: { type: 'string' },
        parties: { type: 'string' },
        reps: { type: 'string' },
        seconds: { type: 'string' },
        keys: { type: 'string', default: '1000000' },
        idle: { type: 'string', default: '10000' },
        'no-rt': { type: 'boolean', default: false },
        json: { type: 'string' },
        svg: { type: 'string' },
        markdown: { type: 'string' },
        publish: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    }).values;
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}

/** Reads the arguments after the program's name. Throws OptionError. */
export function readOptions(argv: readonly string[]): Options {
  const given = parse(argv);
  const quick = given.quick === true;
  return {
    only: names(given.only) ?? (quick ? QUICK_CELLS : null),
    parties: names(given.parties),
    reps: Math.floor(numberBetween('reps', given.reps ?? (quick ? '2' : '3'), 1, 99)),
    seconds: numberBetween('seconds', given.seconds ?? (quick ? '1' : '2'), 0.1, 60),
    keys: Math.floor(numberBetween('keys', given.keys, 1000, 10_000_000)),
    idle: Math.floor(numberBetween('idle', given.idle, 10, 50_000)),
    quick,
    realTime: given['no-rt'] !== true,
    json: given.json ?? null,
    svg: given.svg ?? null,
    markdown: given.markdown ?? null,
    publish: given.publish === true,
    list: given.list === true,
    help: given.help === true,
  };
}
