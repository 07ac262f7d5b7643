/**
 * The program: reads the command line and does what it says. Exit codes: 0 well, 1 it failed,
 * 2 the configuration or the command line has mistakes. bin/baton starts this file.
 *
 * What only some commands need is loaded by them: the mute parent, which stays, is to be small.
 */
import { ExitCode, OperatorError } from '../base/errors.js';
import { VERSION } from '../base/version.js';
import { ConfigError } from '../config/remarks.js';
import { isSuccessor, refuseHandover } from '../master/handover.js';
import { isNotified } from '../master/notify.js';
import type { Loaded } from '../master/reload.js';
import { SCHEMA_HASH } from '../tables/columns.gen.js';
import { applyOverrides, DEFAULT_CONF, readArgs, USAGE, UsageError, type Wanted } from './args.js';
import { isDaemon, leaveTerminal, startDaemon } from './daemon.js';
import { hasParent, runParent } from './parent.js';

async function main(args: readonly string[]): Promise<number> {
  const wanted = readArgs(args);
  const isBackground = isDaemon();
  const isFirst = !isBackground && !isSuccessor() && !hasParent();
  const staysAsParent = isFirst && !wanted.daemonize && !isNotified;
  if (wanted.action === 'run' && staysAsParent) return runParent();
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
      return tellMaster(wanted);
    case 'shm':
      return showMemory(wanted);
    case 'run':
      return wanted.daemonize && isFirst ? goBackground(wanted) : run(wanted, isBackground);
    default:
      return wanted.action satisfies never;
  }
}

async function test(wanted: Wanted): Promise<ExitCode> {
  const { check } = await import('./check.js');
  const { out, remarks } = check(wanted, await load(wanted));
  process.stdout.write(out);
  remarks.forEach(sayPlainly);
  return ExitCode.Ok;
}

async function tellMaster(wanted: Wanted): Promise<ExitCode> {
  const signal = wanted.signal!;
  const isNamed = wanted.confFile !== DEFAULT_CONF;
  // As nginx: a configuration that was named and has mistakes is not sent to the master.
  const isRead = signal === 'reload' || signal === 'upgrade';
  const loaded = isRead && isNamed ? await load(wanted) : null;
  const pidFile = wanted.overrides.pid ?? (loaded ?? await load(wanted)).settings.global.pid;
  const { control } = await import('./control.js');
  await control(signal, pidFile);
  return ExitCode.Ok;
}

async function showMemory(wanted: Wanted): Promise<ExitCode> {
  const pidFile = wanted.overrides.pid ?? (await load(wanted)).settings.global.pid;
  const { shm } = await import('./shm.js');
  const { out, exitCode } = await shm(wanted.shm, pidFile);
  // A pipe takes some of it later: exit() would cut off the rest.
  await new Promise((resolve) => process.stdout.write(out, resolve));
  return exitCode;
}

async function goBackground(wanted: Wanted): Promise<ExitCode> {
  const { settings } = await load(wanted);
  if (settings.global.log === null) {
    say(`warning: ${wanted.confFile}: "log" is not set: in the background log lines go nowhere`);
  }
  return startDaemon();
}

async function run(wanted: Wanted, isBackground: boolean): Promise<ExitCode> {
  const { Master } = await import('../master/master.js');
  const { loadSettings } = await import('../config/load.js');
  const read = () => loadWith(wanted, loadSettings);
  const master = await Master.start({
    load: read,
    title: process.argv.slice(1).join(' '),
    isBackground,
    onUp: isBackground ? leaveTerminal : () => {},
  }, read());
  return master.ended;
}

async function load(wanted: Wanted): Promise<Loaded> {
  const { loadSettings } = await import('../config/load.js');
  return loadWith(wanted, loadSettings);
}

function loadWith(wanted: Wanted, loadSettings: (file: string) => Loaded): Loaded {
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

/** Tells an error in plain lines, also to a master that waits for us; our bug with its stack. */
function tell(error: unknown): ExitCode {
  const { lines, exitCode } = describe(error);
  lines.forEach(sayPlainly);
  refuseHandover(lines);
  return exitCode;
}

function describe(error: unknown): { readonly lines: readonly string[]; exitCode: ExitCode } {
  if (error instanceof ConfigError) return { lines: error.mistakes, exitCode: ExitCode.Operator };
  if (error instanceof OperatorError) return error;
  if (error instanceof UsageError) {
    const line = `baton: ${error.message} (baton -h shows what there is)`;
    return { lines: [line], exitCode: ExitCode.Operator };
  }
  const text = error instanceof Error ? error.stack : String(error);
  return { lines: [`baton: internal error: ${text}`], exitCode: ExitCode.Failed };
}

process.exitCode = await main(process.argv.slice(2)).catch(tell);
process.exit();
