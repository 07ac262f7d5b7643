/**
 * The command line → what is wanted. Spellings are nginx's and twemproxy's, which agree but for -s:
 * there it is a signal, as in nginx (twemproxy: the statistics' port, given by -a ADDR:PORT here).
 */
import { parseArgs } from 'node:util';
import { parseTcpAddress, TCP_FORM, Wrong } from '../config/addresses.js';
import type { LogLevel, Settings, TcpAddress } from '../config/settings.js';

export const SIGNALS =
  ['stop', 'quit', 'reopen', 'reload', 'upgrade', 'rollback', 'commit'] as const;
export type SignalName = (typeof SIGNALS)[number];

export type Action = 'run' | 'test' | 'print' | 'signal' | 'shm' | 'version' | 'help';

export interface Wanted {
  readonly action: Action;
  readonly confFile: string;
  readonly daemonize: boolean;
  readonly signal: SignalName | null;
  readonly diff: boolean; // of action test or print
  readonly shm: ShmOptions; // of action shm
  readonly overrides: Overrides;
  readonly warnings: readonly string[];
}

export interface ShmOptions {
  readonly check: boolean;
  readonly columns: boolean;
  readonly json: boolean;
}

/** What the command line says instead of the file; undefined where it says nothing. */
export interface Overrides {
  readonly pid: string | undefined;
  readonly log: string | undefined;
  readonly logLevel: LogLevel | undefined;
  readonly stats: TcpAddress | undefined;
  readonly statsIntervalMs: number | undefined;
}

/** Something on the command line cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const DEFAULT_CONF = 'conf/baton.yml';

export const USAGE = `Usage: baton [-dtTVh] [-c FILE] [-p FILE] [-s SIGNAL] [-o FILE] [-a ADDR] [--diff]
       baton shm [-c FILE] [-p FILE] [--check] [--columns] [--json]

  -c, --conf-file FILE    configuration, default ${DEFAULT_CONF}
  -p, --pid-file FILE     pid file, instead of the configuration's "pid"
  -d, --daemonize         run in the background; returns when all workers serve
  -s, --signal SIGNAL     tell the running master: ${SIGNALS.join(', ')}
  -t, --test-conf         test the configuration
  -T, --print-conf        test it and print it fully resolved
      --diff              with -t: print what a reload would change of the running instance
  -o, --output FILE       log file, instead of the configuration's "log"
  -v, --verbose LEVEL     log level from 0 (fatal) to 11 (trace), as twemproxy's; 5 is info
  -a, --stats-addr ADDR   where twemproxy's statistics are served, host:port
  -i, --stats-interval MS accepted for twemproxy's sake
  -V, --version           version and build
  -h, --help              this text

  shm                     print the shared memory of the instance that the pid file names, while it
                          runs; nothing is written, nobody is stopped
      --columns           every column of every table, too
      --check             instead: say what does not add up; exit code 1 if something does not
      --json              as JSON

Signals to the master: TERM, INT stop now; QUIT stop gracefully; HUP reload the configuration;
USR1 reopen the log; USR2 upgrade: hand all sessions to the program that is on disk now. To the old
master then, whose pid is in FILE.oldbin: QUIT, WINCH commit; HUP roll back. -s stop, -s rollback
come back when it is done. Exit codes: 0 well, 1 it failed, 2 a mistake in the configuration or here.
`;

const OPTIONS = {
  'conf-file': { type: 'string', short: 'c' },
  'pid-file': { type: 'string', short: 'p' },
  daemonize: { type: 'boolean', short: 'd' },
  signal: { type: 'string', short: 's' },
  'test-conf': { type: 'boolean', short: 't' },
  'print-conf': { type: 'boolean', short: 'T' },
  diff: { type: 'boolean' },
  check: { type: 'boolean' },
  columns: { type: 'boolean' },
  json: { type: 'boolean' },
  output: { type: 'string', short: 'o' },
  verbose: { type: 'string', short: 'v' },
  'stats-addr': { type: 'string', short: 'a' },
  'stats-interval': { type: 'string', short: 'i' },
  'mbuf-size': { type: 'string', short: 'm' },
  version: { type: 'boolean', short: 'V' },
  help: { type: 'boolean', short: 'h' },
} as const;

type Values = ReturnType<typeof parse>['values'];

/** Throws UsageError. */
export function readArgs(args: readonly string[]): Wanted {
  const { values, positionals } = parse(args);
  const signal = signalOf(values.signal);
  const action = actionOf(values, positionals, signal);
  const shm = shmOf(values, action);
  if (values.diff && action !== 'test' && action !== 'print') {
    throw new UsageError('--diff goes with -t');
  }
  const warnings: string[] = [];
  if (values['mbuf-size'] !== undefined) {
    warnings.push('-m: has no effect, buffers grow and shrink by themselves');
  }
  return {
    action,
    confFile: values['conf-file'] ?? DEFAULT_CONF,
    daemonize: values.daemonize ?? false,
    signal,
    diff: values.diff ?? false,
    shm,
    overrides: {
      pid: values['pid-file'],
      log: values.output,
      logLevel: logLevelOf(values.verbose),
      stats: statsOf(values['stats-addr']),
      statsIntervalMs: intervalOf(values['stats-interval']),
    },
    warnings,
  };
}

/** The settings with what the command line says in their place. */
export function applyOverrides(settings: Settings, overrides: Overrides): Settings {
  const said = Object.entries(overrides).filter(([, value]) => value !== undefined);
  return { ...settings, global: { ...settings.global, ...Object.fromEntries(said) } };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args], options: OPTIONS, strict: true, allowPositionals: true,
    });
  } catch (error) {
    const [first = ''] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(first.charAt(0).toLowerCase() + first.slice(1));
  }
}

function actionOf(
  values: Values, positionals: readonly string[], signal: SignalName | null,
): Action {
  const [command, ...more] = positionals;
  const strange = command === 'shm' ? more[0] : command;
  if (strange !== undefined) throw new UsageError(`unexpected argument '${strange}'`);
  if (values.help) return 'help';
  if (values.version) return 'version';
  if (command === 'shm') return 'shm';
  if (values['print-conf']) return 'print';
  if (values['test-conf']) return 'test';
  return signal === null ? 'run' : 'signal';
}

function shmOf(values: Values, action: Action): ShmOptions {
  const { check = false, columns = false, json = false } = values;
  const said = Object.entries({ check, columns, json }).find(([, isSaid]) => isSaid);
  if (said !== undefined && action !== 'shm' && action !== 'help' && action !== 'version') {
    throw new UsageError(`--${said[0]} goes with shm`);
  }
  return { check, columns, json };
}

function signalOf(text: string | undefined): SignalName | null {
  if (text === undefined) return null;
  const signal = SIGNALS.find((name) => name === text);
  if (signal !== undefined) return signal;
  const hint = /^\d+$/.test(text) ? ` (twemproxy's -s PORT is -a 0.0.0.0:${text} here)` : '';
  throw new UsageError(`-s ${text}: allowed: ${SIGNALS.join(', ')}${hint}`);
}

/** twemproxy's levels 0 to 11 on ours. */
function logLevelOf(text: string | undefined): LogLevel | undefined {
  if (text === undefined) return undefined;
  const level = /^\d{1,2}$/.test(text) ? Number(text) : 12;
  if (level > 11) throw new UsageError(`-v ${text}: allowed: 0 to 11`);
  if (level <= 2) return 'fatal';
  if (level === 3) return 'error';
  if (level === 4) return 'warn';
  if (level <= 6) return 'info';
  return level <= 9 ? 'debug' : 'trace';
}

function statsOf(text: string | undefined): TcpAddress | undefined {
  if (text === undefined) return undefined;
  const address = parseTcpAddress(text);
  if (address instanceof Wrong) throw new UsageError(`-a: ${address.reason}, allowed: ${TCP_FORM}`);
  return address;
}

function intervalOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new UsageError(`-i ${text}: allowed: milliseconds from 1 on`);
}
