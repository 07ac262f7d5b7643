/**
 * A private copy of what a worker needs, made when its master starts: whatever lies on disk later,
 * all workers of a master run the build that the master runs. Only an upgrade looks at the disk.
 *
 *   baton-build-PID-xxxxxx/  lock            held by the master: a copy that nobody holds is refuse
 *                            package.json    build/Release/baton.node
 *                            dist/src/…      the modules that the worker's main module leads to
 *                            node_modules/…  the packages that those name, and theirs
 *
 * Files are counted: each costs its part of a millisecond at the start and at the end.
 */
import {
  chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmdirSync,
  unlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, relative } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { systemReason } from '../base/errors.js';
import { addonPath, native } from '../native/binding.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PROGRAM = 'dist/src/worker/main.js';
const ADDON = join('build/Release', basename(addonPath));
const NAME = /^baton-build-(\d+)-/;
const LOCK = 'lock';
const STDERR = 2;
/** In modules as the compiler writes them: what follows "from", "import" or "import(". */
const IMPORTED = /\b(?:from|import)\s*\(?\s*'([^']+)'/g;
/** Of packages: what is loaded at run time, by its ending (none has an addon); what never is. */
const LOADED = new Set(['.js', '.mjs', '.cjs', '.json']);
const NOT_LOADED = new Set(['test', 'tests', 'benchmarks', 'browser', 'docs', 'examples']);

interface Package {
  readonly dependencies?: { readonly [name: string]: string };
  readonly optionalDependencies?: { readonly [name: string]: string };
}

export class BuildCopy {
  /** What to execute for a worker: this very Node, even when its file has been replaced. */
  readonly execPath = '/proc/self/exe';

  private constructor(
    readonly workerProgram: string, // absolute path of the worker's main module
    readonly addon: string, // absolute path of the addon
    private readonly folder: string | null, // null: there is no copy
    private readonly lockFd: number,
  ) {}

  /**
   * Copies, after removing copies whose masters are dead. Where that cannot be done (no space, a
   * read-only or noexec file system) it warns, and the workers use the installed tree. `folder`:
   * in which the copy is made.
   */
  static make(warn: (line: string) => void, folder: string = tmpdir()): BuildCopy {
    let made: string | null = null;
    // Workers may run as another user: everything is readable by all, and writable by us alone.
    const mask = process.umask(0o022);
    try {
      removeStale(folder);
      made = mkdtempSync(join(folder, `baton-build-${process.pid}-`));
      chmodSync(made, 0o755);
      const lockFd = native.processLock(join(made, LOCK));
      copyBuild(made);
      const copy = new BuildCopy(join(made, PROGRAM), join(made, ADDON), made, lockFd);
      if (native.processMayExecute(copy.addon)) return copy;
      native.socketClose(lockFd);
      throw new Error('code may not be executed from there (noexec)');
    } catch (error) {
      if (made !== null) removeTree(made);
      warn(`no private copy of this build in ${folder}: ${systemReason(error)}; workers start ` +
        'from the installed files as they are by then');
      return new BuildCopy(join(ROOT, PROGRAM), addonPath, null, -1);
    } finally {
      process.umask(mask);
    }
  }

  /** Removes the copy: no worker can be started any more. */
  close(): void {
    if (this.folder === null || !existsSync(this.folder)) return;
    removeTree(this.folder);
    native.socketClose(this.lockFd);
  }
}

function copyBuild(to: string): void {
  copyFile(join(ROOT, 'package.json'), join(to, 'package.json'));
  copyFile(addonPath, join(to, ADDON));
  const packages = copyModules(to);
  // A person at a terminal gets readable lines by packages that are there for nothing else.
  const { optionalDependencies } = packageOf(ROOT);
  if (isatty(STDERR)) packages.push(...Object.keys(optionalDependencies ?? {}));
  copyPackages(packages, ROOT, to, to, new Set());
}

/** Every module of ours that the worker's imports lead to; returns the packages that they name. */
function copyModules(to: string): string[] {
  const modules = new Set([join(ROOT, PROGRAM)]);
  const packages = new Set<string>();
  for (const path of modules) { // grows while it is walked
    const text = readFileSync(path, 'utf8');
    copyFile(path, join(to, relative(ROOT, path)));
    for (const [, name] of text.matchAll(IMPORTED)) {
      if (name!.startsWith('.')) modules.add(join(dirname(path), name!));
      else if (!name!.startsWith('node:')) packages.add(packageName(name!));
    }
  }
  return [...packages];
}

/**
 * Packages that the one at `from` (copied to `to`) needs, and what they need. Each lies at the top
 * of the copy, or beside who needs it when another version is there.
 */
function copyPackages(
  names: readonly string[], from: string, to: string, top: string, done: Set<string>,
): void {
  for (const name of names) {
    const found = findPackage(name, from);
    if (found === null || done.has(found)) continue;
    done.add(found);
    const usual = join(top, 'node_modules', name);
    const target = existsSync(usual) ? join(to, 'node_modules', name) : usual;
    copyPackage(found, target);
    const { dependencies, optionalDependencies } = packageOf(found);
    const needed = Object.keys({ ...dependencies, ...optionalDependencies });
    copyPackages(needed, found, target, top, done);
  }
}

/** @scope/name/module → @scope/name */
function packageName(specifier: string): string {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Where Node would find it; null for an optional one that is not installed. */
function findPackage(name: string, from: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name);
    if (existsSync(join(path, 'package.json'))) return path;
    if (folder === dirname(folder)) return null;
  }
}

function packageOf(folder: string): Package {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Package;
}

function copyPackage(from: string, to: string): void {
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    const isWanted = entry.name !== 'node_modules' && !NOT_LOADED.has(entry.name);
    if (entry.isDirectory() && isWanted) copyPackage(source, target);
    if (entry.isFile() && LOADED.has(extname(entry.name))) copyFile(source, target);
  }
}

function copyFile(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  writeFileSync(to, readFileSync(from));
}

/** As rm -r, without following links. */
function removeTree(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeTree(path);
    else unlinkSync(path);
  }
  rmdirSync(folder);
}

/**
 * Copies of masters that were killed. A pid alone says little, it is used again and means another
 * process in another container: only who gets the lock may remove.
 */
function removeStale(folder: string): void {
  for (const name of readdirSync(folder).filter((name) => NAME.test(name))) {
    const path = join(folder, name);
    const pid = Number(NAME.exec(name)![1]);
    if (pid !== process.pid && existsSync(`/proc/${pid}`)) continue;
    try {
      const entry = lstatSync(path);
      if (entry.uid !== process.geteuid!() || !entry.isDirectory()) continue;
      const lockFd = native.processLock(join(path, LOCK));
      removeTree(path);
      native.socketClose(lockFd);
    } catch {
      // It is in use, or somebody else has just removed it.
    }
  }
}
