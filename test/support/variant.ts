/**
 * Another version of the program: a copy of the sources with changes, built for itself.
 *
 *   const next = await buildVariant(t, {
 *     ...version('9.0.0'),
 *     ...columns(insertAfter('session', 'blamed_at', "['hops', 'i32', 'so far', 1, 7]")),
 *   });
 *   // next is a tree like ours: join(next, 'bin/baton') starts it
 *
 * Fast rather than careful: TypeScript is not checked, C++ is not optimised, and only what the
 * changes touch is built at all: who only changes TypeScript gets our addon.
 */
import { spawn } from 'node:child_process';
import {
  chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url)); // from dist/test/support
const LAYOUT = 'src/shm/layout.ts';
const GENERATED_FROM = [LAYOUT, 'src/shm/codes.ts', 'src/shm/schema.ts'];
const ADDON = 'build/Release/baton.node';

/** File, from the root → what becomes of its text. A change that changes nothing is a mistake. */
export interface Changes {
  readonly [path: string]: (text: string) => string;
}

/** Builds it in a scratch directory, whose path this returns. Rejects with what a compiler said. */
export async function buildVariant(scope: Scope, changes: Changes): Promise<string> {
  const tree = join(scratch(scope), 'tree');
  copyTree(tree);
  for (const [path, change] of Object.entries(changes)) {
    const text = readFileSync(join(tree, path), 'utf8');
    const changed = change(text);
    if (changed === text) throw new Error(`${path} is as it was`);
    writeFileSync(join(tree, path), changed);
  }
  const paths = Object.keys(changes);
  const isRelaid = paths.some((path) => GENERATED_FROM.includes(path));
  if (isRelaid) await regenerate(tree);
  const isAddonOld = isRelaid || paths.some((path) => path.startsWith('native/'));
  if (!isAddonOld) cpSync(join(ROOT, ADDON), join(tree, ADDON));
  await Promise.all([
    compileTypeScript(tree, { include: ['src/**/*.ts'] }),
    isAddonOld ? compileAddon(tree) : null,
  ]);
  return tree;
}

/** The changes that make it call itself another version. */
export function version(number: string): Changes {
  return {
    'package.json': (text) => text.replace(/"version": "[^"]*"/, `"version": "${number}"`),
  };
}

type LayoutChange = (layout: string) => string;

/** Several changes of layout.ts as one. */
export function columns(...changes: LayoutChange[]): Changes {
  return { [LAYOUT]: (text) => changes.reduce((so, change) => change(so), text) };
}

/** A column behind another one; `spec` is its text: "['hops', 'i32', 'what it is', 1, 7]". */
export function insertAfter(table: string, place: string, spec: string): LayoutChange {
  return (layout) => inTable(layout, table, place, (line) => `${line}\n  ${spec},`);
}

/** Another column in the place of one. */
export function replaceColumn(table: string, place: string, spec: string): LayoutChange {
  return (layout) => inTable(layout, table, place, () => `  ${spec},`);
}

/** Registers migrations; `text` is what stands in the list. */
export function migrations(text: string): Changes {
  return {
    'src/shm/migrations.ts': (file) => file.replace(
      /(export const migrations: readonly Migration\[\] = \[)[^\]]*\];/, `$1${text}];`),
  };
}

function inTable(layout: string, table: string, place: string, change: (line: string) => string,
): string {
  const start = layout.indexOf(`table('${table}', `);
  const end = layout.indexOf('\n]);', start);
  const text = layout.slice(start, end);
  const line = new RegExp(`^  \\['${place}', .*\\],$`, 'm').exec(text)?.[0];
  if (start < 0 || line === undefined) throw new Error(`layout.ts has no column ${table}.${place}`);
  return layout.slice(0, start) + text.replace(line, () => change(line)) + layout.slice(end);
}

// --- the tree

function copyTree(tree: string): void {
  for (const path of ['bin', 'conf', 'native', 'src', 'package.json', 'tsconfig.json']) {
    cpSync(join(ROOT, path), join(tree, path), { recursive: true });
  }
  mkdirSync(join(tree, dirname(ADDON)), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(tree, 'node_modules'));
  for (const folder of [dirname(tree), tree]) chmodSync(folder, 0o755); // for workers' users
}

/** Writes columns.gen.ts and layout.gen.h anew, with the variant's own generator. */
async function regenerate(tree: string): Promise<void> {
  await compileTypeScript(tree, { files: ['src/shm/generate.ts'] });
  await run(tree, process.execPath, ['dist/src/shm/generate.js']);
}

async function compileTypeScript(tree: string, what: { include?: string[]; files?: string[] },
): Promise<void> {
  const compilerOptions = { noCheck: true, sourceMap: false, outDir: 'dist', rootDir: '.' };
  const settings = { extends: './tsconfig.json', compilerOptions, include: [], ...what };
  writeFileSync(join(tree, 'tsconfig.variant.json'), JSON.stringify(settings));
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc');
  await run(tree, process.execPath, [tsc, '-p', 'tsconfig.variant.json']);
}

// --- the addon

/** As binding.gyp has it, but for the optimisation. */
const FLAGS = [
  '-std=c++20', '-O0', '-fPIC', '-pthread', '-fno-exceptions', '-fno-rtti', '-fno-strict-aliasing',
  '-fvisibility=hidden', '-DNAPI_VERSION=8', '-DNODE_ADDON_API_DISABLE_DEPRECATED',
  '-DNODE_ADDON_API_DISABLE_CPP_EXCEPTIONS', '-DBUILDING_NODE_EXTENSION',
];

/** What a source says, headers included → the object made of it, for variants of one test file. */
const objects = new Map<string, string>();

async function compileAddon(tree: string): Promise<void> {
  const native = join(tree, 'native');
  const { include } = createRequire(import.meta.url)('node-addon-api') as { include: string };
  const places = [nodeHeaders(), include.replaceAll('"', ''), native].map((path) => `-I${path}`);
  const sources = readdirSync(native).filter((name) => name.endsWith('.cc'));
  const made: string[] = [];
  const waiting = [...sources];
  const compile = async (): Promise<void> => {
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      const text = [...whole(native, name)].join();
      const object = objects.get(text) ?? join(native, `${name}.o`);
      made.push(object);
      if (existsSync(object)) continue;
      await run(native, 'g++', [...FLAGS, ...places, '-c', name, '-o', object]);
      objects.set(text, object);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, compile));
  await run(native, 'g++', ['-shared', '-pthread', ...made, '-o', join(tree, ADDON)]);
}

/** Texts of a file and of all of ours that it includes. */
function whole(native: string, name: string, texts = new Map<string, string>()): Iterable<string> {
  const text = readFileSync(join(native, name), 'utf8');
  texts.set(name, text);
  for (const [, header] of text.matchAll(/^#include "(.+)"$/gm)) {
    if (!texts.has(header!) && existsSync(join(native, header!))) whole(native, header!, texts);
  }
  return texts.values();
}

function nodeHeaders(): string {
  const place = join(dirname(dirname(process.execPath)), 'include/node');
  if (!existsSync(join(place, 'node_api.h'))) throw new Error(`no headers of Node in ${place}`);
  return place;
}

/** Waits for a program; rejects with its words when it fails. */
function run(cwd: string, program: string, args: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    const hear = (bytes: Buffer): void => { said += bytes.toString(); };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    child.once('close', (code, signal) => code === 0 ? resolve()
      : reject(new Error(`${program} ${args.at(-1)} ended with ${signal ?? code}:\n${said}`)));
  });
}
