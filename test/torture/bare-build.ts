/**
 * Builds test/native/bare/bare-lane.cc with the native/ of this tree, or with one that is changed
 * here and there: another constant, a rule left out. Objects are kept, so that a change costs only
 * the files that see it.
 */
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import {
  cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { repositoryRoot } from '../support/cpp-program.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';

/** In a file of native/, what takes the place of a text that is there once. */
export interface Change {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

/** As binding.gyp has it. */
const FLAGS = [
  '-std=c++20', '-pthread', '-fno-exceptions', '-fno-rtti', '-fno-strict-aliasing',
  '-fvisibility=hidden', '-DBATON_FAULTS',
];
/** What needs Node, or belongs to masters. */
const NOT_OF_A_LANE = /binding|addon|attach|crash|death-watch|loop|libuv|process|socket/;
const OBJECTS = join(repositoryRoot, 'build-faults/objects');

/**
 * Returns the program's path. Rejects with what the compiler said. A changed one is optimized less:
 * it is compiled once and soon dead.
 */
export async function buildBareLane(scope: Scope, changes: readonly Change[] = []): Promise<string> {
  const flags = [...FLAGS, changes.length > 0 ? '-O1' : '-O3'];
  const tree = changedTree(scope, changes);
  mkdirSync(OBJECTS, { recursive: true });
  const sources = readdirSync(join(tree, 'native'))
    .filter((name) => name.endsWith('.cc') && !NOT_OF_A_LANE.test(name))
    .map((name) => join('native', name));
  const waiting = [...sources, 'test/native/bare/bare-lane.cc'];
  const objects: string[] = [];
  const compile = async (): Promise<void> => {
    for (let source = waiting.pop(); source !== undefined; source = waiting.pop()) {
      const text = [...flags, ...textsOf(tree, source).values()].join();
      const object = join(OBJECTS, `${createHash('sha1').update(text).digest('hex')}.o`);
      objects.push(object);
      if (existsSync(object)) continue;
      const made = `${object}.${process.pid}`; // whole, or not there
      const exceptions = source.startsWith('test') ? ['-fexceptions'] : [];
      await run(tree, [...flags, ...exceptions, '-Inative', '-c', source, '-o', made]);
      renameSync(made, object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compile));
  const program = join(tree, 'bare-lane');
  await run(tree, ['-pthread', ...objects, '-o', program]);
  return program;
}

/** A copy of what C++ is made of, changed. */
export function changedTree(scope: Scope, changes: readonly Change[]): string {
  const tree = scratch(scope);
  cpSync(join(repositoryRoot, 'native'), join(tree, 'native'), { recursive: true });
  cpSync(join(repositoryRoot, 'test/native'), join(tree, 'test/native'), { recursive: true });
  for (const { file, from, to } of changes) {
    const path = join(tree, 'native', file);
    const text = readFileSync(path, 'utf8');
    if (text.split(from).length !== 2) throw new Error(`${file} has not exactly one ${from}`);
    writeFileSync(path, text.replace(from, () => to));
  }
  return tree;
}

/** The sessions with urgent bytes (test/native/urgent.cc); returns the program's path. */
export function buildUrgent(): Promise<string> {
  urgent ??= compileUrgent(); // once, for tests that run at a time
  return urgent;
}

let urgent: Promise<string> | null = null;

async function compileUrgent(): Promise<string> {
  const source = 'test/native/urgent.cc';
  const text = readFileSync(join(repositoryRoot, source), 'utf8');
  const program = join(OBJECTS, `urgent-${createHash('sha1').update(text).digest('hex')}`);
  if (existsSync(program)) return program;
  mkdirSync(OBJECTS, { recursive: true });
  const made = `${program}.${process.pid}`;
  await run(repositoryRoot, ['-std=c++20', '-O1', source, '-o', made]);
  renameSync(made, program);
  return program;
}

/** Texts of a file and of all of ours that it includes. */
function textsOf(tree: string, path: string, texts = new Map<string, string>()): Map<string, string> {
  const text = readFileSync(join(tree, path), 'utf8');
  texts.set(path, text);
  for (const [, header] of text.matchAll(/^#include "(.+)"$/gm)) {
    const places = [join(path, '..', header!), join('native', header!)];
    const found = places.find((place) => existsSync(join(tree, place)));
    if (found !== undefined && !texts.has(found)) textsOf(tree, found, texts);
  }
  return texts;
}

function run(cwd: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('g++', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (bytes: Buffer) => { said += bytes.toString(); });
    child.once('error', reject);
    child.once('close', (code) => code === 0 ? resolve() : reject(new Error(said)));
  });
}
