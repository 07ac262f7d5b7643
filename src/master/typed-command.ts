/**
 * How the operator started this program, so that it can be started again the same way from what
 * lies on disk by then: by the same names, in which links are not resolved.
 *
 *   cd /srv/baton/current ; node --flag bin/baton -c x.yml
 *      └ directory          │    │      └ script └ rest
 *                           └ program, found by PATH again
 */
import { accessSync, constants, readFileSync, realpathSync, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

export interface TypedCommand {
  readonly command: string; // absolute path of the executable, links not resolved
  readonly args: readonly string[]; // Node's own options, the script, the script's arguments
  readonly cwd: string;
  readonly argv0: string;
}

/** What is known of a start; all of it must be taken before the title changes. */
export interface StartFacts {
  readonly argv0: string; // as typed
  readonly execPath: string; // what ran, links resolved
  readonly execArgv: readonly string[];
  readonly script: string; // absolute
  readonly rest: readonly string[];
  readonly commandLine: readonly string[]; // as the kernel got it
  readonly physical: string; // the directory, links resolved
  readonly logical: string | undefined; // as the shell calls it
  readonly path: string;
}

const start: StartFacts = {
  argv0: process.argv0, execPath: process.execPath, execArgv: [...process.execArgv],
  script: process.argv[1] ?? '', rest: process.argv.slice(2),
  commandLine: readFileSync('/proc/self/cmdline', 'utf8').split('\0').slice(0, -1),
  physical: process.cwd(), logical: process.env['PWD'], path: process.env['PATH'] ?? '',
};
/** Whether the typed name led to what runs now: another name (exec -a) says nothing. */
const isTrueName = executableOf(start.argv0, directoryOf(start), start.path) !== null
  && sameFile(executableOf(start.argv0, directoryOf(start), start.path)!, start.execPath);
const fixed = { cwd: directoryOf(start), script: scriptOf(start) };

/** Looks at the disk now; what was typed is that of this process's start. */
export function howToExec(): TypedCommand {
  const found = isTrueName ? executableOf(start.argv0, fixed.cwd, start.path) : null;
  return {
    command: found ?? start.execPath,
    args: [...start.execArgv, fixed.script, ...start.rest],
    cwd: fixed.cwd,
    argv0: start.argv0,
  };
}

/** The start directory by the name that the shell has for it, if that is still the same one. */
export function directoryOf({ logical, physical }: StartFacts): string {
  return logical !== undefined && isAbsolute(logical) && sameFile(logical, physical)
    ? logical : physical;
}

/** The script as typed: Node makes it absolute, by a directory in which links are resolved. */
export function scriptOf({ commandLine, execArgv, script, physical }: StartFacts): string {
  const typed = commandLine[1 + execArgv.length];
  return typed !== undefined && resolve(physical, typed) === script ? typed : script;
}

/** The file that the shell would execute by that name; null when there is none. */
export function executableOf(name: string, directory: string, path: string): string | null {
  const candidates = name.includes('/') ? [resolve(directory, name)]
    : path.split(delimiter).map((folder) => join(resolve(directory, folder), name));
  return candidates.find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function sameFile(one: string, other: string): boolean {
  try {
    return realpathSync(one) === realpathSync(other);
  } catch {
    return false;
  }
}
