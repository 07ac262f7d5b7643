/**
 * What every script here needs: where the repository is, how to run a program, how to say no.
 *
 * Needs nothing but Node itself: it is loaded before any npm package is installed.
 * Programs run asynchronously, so that a signal reaches us while one is running; whoever handles
 * the signal calls killRunning() and the awaiting code unwinds through its `finally` blocks.
 */
import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, realpathSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** Something the person at the keyboard must do: shown as lines of text, never as a stack. */
export class Refusal extends Error {}

export function say(line) {
  process.stdout.write(`baton: ${line}\n`);
}

/** Runs `body` when `url` is the script that Node was started with, and turns errors to lines. */
export async function asProgram(url, body) {
  if (process.argv[1] === undefined || realpathSync(process.argv[1]) !== fileURLToPath(url)) return;
  try {
    process.exitCode = (await body(process.argv.slice(2))) ?? 0;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    process.stderr.write(`baton: ${error.message}\n`);
    process.exitCode = 1;
  }
}

/** The path of a program, or undefined. Looks in sbin too: a user's PATH often lacks it. */
export function which(name) {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (folder !== '' && statSync(path).isFile()) return path;
    } catch {
      // not here; the next folder may have it
    }
  }
  return undefined;
}

const running = new Set();

/** Ends every program started by run(); its promise then resolves with the signal as status. */
export function killRunning(signal = 'SIGTERM') {
  for (const child of running) child.kill(signal);
}

/**
 * Runs a program to its end. With `quiet` its output is kept and returned, else it is shown.
 * Resolves to { status, output }; status is the exit code, or the signal's name.
 */
export function run(command, args, { quiet = false, env = {}, cwd = root } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    });
    running.add(child);
    let output = '';
    child.stdout?.on('data', (bytes) => (output += bytes));
    child.stderr?.on('data', (bytes) => (output += bytes));
    child.on('error', (error) => {
      running.delete(child);
      resolve({ status: error.code ?? 'error', output: `${command}: ${error.message}\n` });
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      resolve({ status: signal ?? code, output });
    });
  });
}

/** npm's own JavaScript: the npm that runs us, else the one installed beside this Node. */
export function npmCli() {
  const caller = process.env.npm_execpath;
  if (caller !== undefined && basename(caller) === 'npm-cli.js' && existsSync(caller)) {
    return caller;
  }
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const bundled = join(prefix, 'lib/node_modules/npm/bin/npm-cli.js');
  if (existsSync(bundled)) return bundled;
  const inPath = which('npm');
  if (inPath !== undefined && realpathSync(inPath).endsWith('npm-cli.js')) {
    return realpathSync(inPath);
  }
  throw new Refusal('npm is missing: install it beside Node (Debian: apt-get install npm)');
}

/** The node-gyp that npm carries, so that the project need not depend on one. */
export function nodeGyp() {
  const named = process.env.npm_config_node_gyp;
  if (named !== undefined && existsSync(named)) return named;
  const npm = npmCli();
  try {
    return createRequire(npm).resolve('node-gyp/bin/node-gyp.js');
  } catch {
    throw new Refusal(`no node-gyp beside ${npm} (Debian: apt-get install node-gyp)`);
  }
}
