/**
 * The program: reads the command line and does what it says. Exit codes: 0 well, 1 it failed,
 * 2 the configuration or the command line has mistakes. bin/baton starts this file.
 */
import { fileURLToPath } from 'node:url';
import { ExitCode, OperatorError } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { loadSettings } from '../config/load.js';
import { printSettings } from '../config/print.js';
import { ConfigError } from '../config/remarks.js';
import { Master } from '../master/master.js';
import type { Loaded } from '../master/reload.js';
import { SCHEMA_HASH } from '../tables/columns.gen.js';
import { applyOverrides, DEFAULT_CONF, readArgs, USAGE, UsageError, type Wanted } from './args.js';
import { signalMaster } from './control.js';
import { isDaemon, leaveTerminal, startDaemon } from './daemon.js';

const WORKER = fileURLToPath(new URL('../worker/main.js', import.meta.url));

async function main(args: readonly string[]): Promise<ExitCode> {
  const wanted = readArgs(args);
  for (const warning of wanted.warnings) say(`warning: ${warning}`);
  switch (wanted.action) {
    case 'help':
      process.stdout.write(USAGE);
      return ExitCode.Ok;
    case 'version':
      process.stdout.write(versionText());
      return ExitCode.Ok;
    case 'test':
    case 'print':
      return test(wanted);
    case 'signal':
      // As nginx: a configuration that was named and has mistakes is not sent to the master.
      if (wanted.signal === 'reload' && wanted.confFile !== DEFAULT_CONF) load(wanted);
      signalMaster(wanted.signal!, wanted.overrides.pid ?? load(wanted).settings.global.pid);
      return ExitCode.Ok;
    case 'run':
      return run(wanted);
    default:
      return wanted.action satisfies never;
  }
}

function test(wanted: Wanted): ExitCode {
  const { settings, warnings } = load(wanted);
  for (const line of warnings) sayPlainly(`warning: ${line}`);
  if (wanted.action === 'print') process.stdout.write(printSettings(settings));
  say(`configuration file ${wanted.confFile} test is successful`);
  return ExitCode.Ok;
}

async function run(wanted: Wanted): Promise<ExitCode> {
  const loaded = load(wanted);
  const isBackground = isDaemon();
  if (wanted.daemonize && !isBackground) {
    if (loaded.settings.global.log === null) {
      say(`warning: ${wanted.confFile}: "log" is not set: in the background log lines go nowhere`);
    }
    return startDaemon();
  }
  const master = await Master.start({
    load: () => load(wanted),
    title: process.argv.slice(1).join(' '),
    workerProgram: WORKER,
    isBackground,
    onUp: isBackground ? leaveTerminal : () => {},
  }, loaded);
  return master.ended;
}

function load(wanted: Wanted): Loaded {
  const { settings, warnings } = loadSettings(wanted.confFile);
  return { settings: applyOverrides(settings, wanted.overrides), warnings };
}

function versionText(): string {
  const layout = (SCHEMA_HASH >>> 0).toString(16).padStart(8, '0');
  const build = `node ${process.version} ${process.arch}, layout ${layout}`;
  return `baton version ${VERSION}\nbuilt for ${build}\n`;
}

function say(line: string): void {
  process.stderr.write(`baton: ${line}\n`);
}

/** For lines that begin with file:line, where editors look for it. */
function sayPlainly(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Tells an error in plain lines; one that is our bug with its stack. */
function tell(error: unknown): ExitCode {
  if (error instanceof ConfigError) {
    error.mistakes.forEach(sayPlainly);
    return ExitCode.Operator;
  }
  if (error instanceof OperatorError) {
    error.lines.forEach(sayPlainly);
    return error.exitCode;
  }
  if (error instanceof UsageError) {
    say(`${error.message} (baton -h shows what there is)`);
    return ExitCode.Operator;
  }
  say(`internal error: ${error instanceof Error ? error.stack : String(error)}`);
  return ExitCode.Failed;
}

process.exitCode = await main(process.argv.slice(2)).catch(tell);
process.exit();
