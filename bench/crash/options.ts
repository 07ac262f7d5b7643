/**
 * The command line of npm run bench:crash.
 *
 * --help prints USAGE below. Wrong options end the program with one line and exit code 2 (the
 * caller prints OptionError's message).
 */
import { parseArgs } from 'node:util';
import { OptionError } from '../compare/options.js';

export interface Options {
  readonly sessions: readonly number[]; // a cell for each number, 1..50,000
  readonly depth: number; // requests that a session writes at once, 1..1,000
  readonly rate: number;  // such writes a second, of all sessions together
  readonly kills: number; // in each cell, 1..10,000
  readonly realTime: boolean; // the clients run under chrt -r 1
  readonly json: string | null;
  readonly publish: boolean;
  readonly help: boolean;
}

export const USAGE = `npm run bench:crash -- [options]

  --sessions LIST  sessions, a cell each (50,1000,9000)
  --depth N        requests that a session writes at once (8)
  --rate N         such writes a second, of all sessions together (5000)
  --kills N        kills in each cell (40)
  --quick          50 and 1000 sessions, 5 kills
  --no-rt          do not run the clients under chrt -r 1
  --json FILE      write the figures
  --publish        rewrite bench/README.md's section on crashes and bench/crash/result.json
`;

function whole(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= low && value <= high) return Math.floor(value);
  throw new OptionError(`--${name} ${text}: must be a number from ${low} to ${high}`);
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        sessions: { type: 'string' },
        depth: { type: 'string', default: '8' },
        rate: { type: 'string', default: '5000' },
        kills: { type: 'string' },
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
  const sessions = given.sessions ?? (quick ? '50,1000' : '50,1000,9000');
  return {
    sessions: sessions.split(',').map((text) => whole('sessions', text, 1, 50_000)),
    depth: whole('depth', given.depth, 1, 1000),
    rate: whole('rate', given.rate, 1, 1_000_000),
    kills: whole('kills', given.kills ?? (quick ? '5' : '40'), 1, 10_000),
    realTime: given['no-rt'] !== true,
    json: given.json ?? null,
    publish: given.publish === true,
    help: given.help === true,
  };
}
