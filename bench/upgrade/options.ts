/**
 * The command line of npm run bench:upgrade.
 *
 * --help prints USAGE below. Wrong options end the program with one line and exit code 2 (the
 * caller prints OptionError's message).
 */
import { parseArgs } from 'node:util';
import { OptionError } from '../compare/options.js';

export interface Options {
  /** Idle connections beside the active sessions; one cell for each number. */
  readonly idle: readonly number[];
  readonly sessions: number; // active ones, 1..10,000
  readonly depth: number;    // requests that a session writes at once, 1..1,000
  /** How often a session writes, in ms; 0 = as soon as all is answered. */
  readonly periodMs: number;
  readonly rounds: number;   // reloads and upgrades in each cell, 1..1,000
  readonly workers: number;  // lanes, 1..64
  readonly realTime: boolean; // the clients run under chrt -r 1
  readonly json: string | null;
  readonly publish: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench:upgrade -- [options]

  --idle LIST     idle connections beside the active sessions, a cell each (100,1000,9000)
  --sessions N    active sessions (1000)
  --depth N       requests that a session writes at once (8)
  --period MS     how often a session writes; 0: as soon as all is answered (50)
  --rounds N      reloads and upgrades in each cell (10)
  --workers N     lanes (1)
  --quick         one cell with 100 idle connections, 3 rounds
  --no-rt         do not run the clients under chrt -r 1
  --json FILE     write the figures
  --publish       rewrite bench/README.md's section on upgrades and bench/upgrade/result.json
`;

function numberBetween(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= low && value <= high) return value;
  throw new OptionError(`--${name} ${text}: must be a number from ${low} to ${high}`);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        idle: { type: 'string' },
        sessions: { type: 'string', default: '1000' },
        depth: { type: 'string', default: '8' },
        period: { type: 'string', default: '50' },
        rounds: { type: 'string' },
        workers: { type: 'string', default: '1' },
        quick: { type: 'boolean', default: false },
        'no-rt': { type: 'boolean', default: false },
        json: { type: 'string' },
        publish: { type: 'boolean', default: false },
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
  const whole = (name: string, text: string, low: number, high: number): number =>
    Math.floor(numberBetween(name, text, low, high));
  const idle = given.idle ?? (quick ? '100' : '100,1000,9000');
  return {
    idle: idle.split(',').map((text) => whole('idle', text, 0, 50_000)),
    sessions: whole('sessions', given.sessions, 1, 10_000),
    depth: whole('depth', given.depth, 1, 1000),
    periodMs: numberBetween('period', given.period, 0, 10_000),
    rounds: whole('rounds', given.rounds ?? (quick ? '3' : '10'), 1, 1000),
    workers: whole('workers', given.workers, 1, 64),
    realTime: given['no-rt'] !== true,
    json: given.json ?? null,
    publish: given.publish === true,
    help: given.help === true,
  };
}
