/**
 * The house rules, executed. Each rule is a pure function from text to complaints; it runs over the
 * tree and must find nothing, and over a planted example and must find that.
 *
 *   imports   only downwards, no cycles, no barrels        sizes     files, functions, share of C++
 *   words     no leftovers, no machine's paths or hosts    planes    no clock in the data plane
 */
import t from 'tap';
import ts from 'typescript';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Source {
  readonly path: string; // from the root, as in src/pool/chain.ts
  readonly text: string;
}

// --- the tree ---

/** The nearest folder above the compiled test that holds package.json. */
function findRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
  return folder;
}

const root = findRoot();
const NOT_OURS = new Set(['node_modules', 'build', 'build-asan', 'dist', '.git', '.tap']);
const TEXT = /\.(ts|mjs|cc|h|md|yml|json|gyp)$|^(bin|\.ci)\/|(^|\/)\.[a-z-]+$|^LICENSE$/;

/** Every text file that belongs to the project, read. What .gitignore names is skipped. */
function readTree(folder = ''): Source[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = posix.join(folder, entry.name);
    if (entry.isDirectory()) {
      return NOT_OURS.has(entry.name) || path === 'bench/out' ? [] : readTree(path);
    }
    if (!entry.isFile() || !TEXT.test(path)) return [];
    return [{ path, text: readFileSync(join(root, path), 'utf8') }];
  });
}

const tree = readTree();
const under = (folder: string, end: RegExp) =>
  tree.filter(({ path }) => path.startsWith(folder) && end.test(path));
const product = under('src/', /\.ts$/);
const native = under('native/', /\.(cc|h)$/);
const isGenerated = ({ path }: Source) => /\.gen\.(ts|h)$/.test(path);

// --- imports ---

const MEMORY = ['shm', 'native', 'base'];
const TABLES = ['pool', 'mq', 'tables', ...MEMORY];
const MAY_IMPORT: { readonly [layer: string]: readonly string[] } = {
  base: [],
  native: ['base', 'tables/columns.gen'],
  shm: ['native', 'base', 'tables/columns.gen'],
  pool: MEMORY,
  mq: MEMORY,
  tables: MEMORY,
  protocol: TABLES,
  routing: ['protocol', ...TABLES],
  proxy: ['routing', 'protocol', 'config', ...TABLES], // of config the types of settings
  config: ['base'],
  admin: ['tables', 'config', 'base'],
  worker: ['proxy', 'admin', 'config', 'routing', 'protocol', ...TABLES],
  master: ['config', 'admin', 'routing', 'protocol', 'tables', ...MEMORY],
  inspect: ['tables', ...MEMORY],
  cli: ['master', 'inspect', 'config', 'native', 'base', 'tables/columns.gen'],
};

/** The relative imports of a file, as paths of .ts files from the root. */
function importsOf({ path, text }: Source): string[] {
  return ts.preProcessFile(text, true, true).importedFiles
    .filter(({ fileName }) => fileName.startsWith('.'))
    .map(({ fileName }) => posix.join(posix.dirname(path), fileName).replace(/\.js$/, '.ts'));
}

function layerOf(path: string): string {
  return path.split('/')[1] ?? '';
}

function upwardImports(source: Source): string[] {
  const layer = layerOf(source.path);
  const allowed = MAY_IMPORT[layer];
  if (allowed === undefined) return [`${source.path}: src/${layer} is no layer`];
  const isAllowed = (target: string) => target.startsWith('src/')
    && [layer, ...allowed].some((place) => target.startsWith(`src/${place}/`)
      || target === `src/${place}.ts`);
  return importsOf(source).filter((target) => !isAllowed(target))
    .map((target) => `${source.path} imports ${target}`);
}

/** Cycles of modules, each told once, by a depth-first walk. */
function importCycles(sources: readonly Source[]): string[] {
  const targets = new Map(sources.map((source) => [source.path, importsOf(source)]));
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' -> '));
    if (start >= 0 || done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const path of targets.keys()) visit(path, []);
  return cycles;
}

/** A file that defines nothing and only passes on what others define. */
function barrels({ path, text }: Source): string[] {
  const { statements } = parse(path, text);
  const passesOn = (node: ts.Statement) =>
    ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined;
  const isBarrel = path.endsWith('/index.ts')
    || (statements.length > 0 && statements.every(passesOn));
  return isBarrel ? [`${path} is a barrel`] : [];
}

function addonLoaders({ path, text }: Source): string[] {
  const loads = /\bdlopen\(|['"`/][\w./-]*\.node['"`]/.test(text);
  return loads && path !== 'src/native/binding.ts' ? [`${path} loads the addon`] : [];
}

// --- sizes ---

const FILE_LINES_MAX = 400;
const NATIVE_FILE_LINES_MAX = 450;
const FUNCTION_LINES_MAX = 70;
const NATIVE_FUNCTION_LINES_MAX = 90;
const NATIVE_SHARE_MAX = 0.4; // a third is the aim

function longFiles(source: Source): string[] {
  const lines = source.text.split('\n').length - 1;
  const most = source.path.endsWith('.cc') ? NATIVE_FILE_LINES_MAX : FILE_LINES_MAX;
  return lines > most ? [`${source.path}: ${lines} lines, at most ${most}`] : [];
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
}

function longFunctions({ path, text }: Source): string[] {
  const file = parse(path, text);
  const complaints: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node) {
      const from = file.getLineAndCharacterOfPosition(node.getStart()).line;
      const lines = file.getLineAndCharacterOfPosition(node.end).line - from + 1;
      if (lines > FUNCTION_LINES_MAX) complaints.push(tooLong(path, from, lines));
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return complaints;
}

/** Clang-format puts a function's brackets in a known place: `... {` and a lone `}` at column 0. */
function longNativeFunctions({ path, text }: Source): string[] {
  const complaints: string[] = [];
  let from = -1;
  text.split('\n').forEach((line, index) => {
    if (/^\S.*\).*\{$/.test(line) && !/^(namespace|struct|class|enum|extern)\b/.test(line)) {
      from = index;
    } else if (line.startsWith('}') && from >= 0) {
      const lines = index - from + 1;
      if (lines > NATIVE_FUNCTION_LINES_MAX) complaints.push(tooLong(path, from, lines));
      from = -1;
    }
  });
  return complaints;
}

function tooLong(path: string, from: number, lines: number): string {
  return `${path}:${from + 1}: a function of ${lines} lines`;
}

/** Lines that are neither blank nor comment. */
function codeLines({ text }: Source): number {
  const bare = text.replace(/\/\*[\s\S]*?\*\//g, '');
  return bare.split('\n').filter((line) => !/^\s*(\/\/.*)?$/.test(line)).length;
}

function nativeShare(cpp: readonly Source[], typescript: readonly Source[]): number {
  const count = (sources: readonly Source[]) =>
    sources.filter((source) => !isGenerated(source)).reduce((sum, one) => sum + codeLines(one), 0);
  const both = count(cpp) + count(typescript);
  return both === 0 ? 0 : count(cpp) / both;
}

// --- words ---

/** Planted examples and patterns are written in two halves, so that this file obeys its rules. */
const joined = (...halves: string[]) => halves.join('');
const LEFTOVER = new RegExp(joined('\\b(TO', 'DO|FIX', 'ME|XX', 'X)\\b'));
const HALF_RUN = new RegExp(joined('\\.(on', 'ly|sk', 'ip|to', 'do)\\('));
const MACHINE_PATH = new RegExp(joined('(^|[\\s"\'`(=:])/(wo', 'rk|ho', 'me|ro', 'ot|Us', 'ers)/\\w'));
const REGISTRY_HOST = new RegExp(joined('https?://[^\\s"\']*(regis', 'try|npm', 'js|artifact)'));

function linesMatching({ path, text }: Source, pattern: RegExp): string[] {
  return text.split('\n').flatMap((line, index) =>
    pattern.test(line) ? [`${path}:${index + 1}: ${line.trim()}`] : []);
}

/** A .cc whose .h says what it is need not say it again. */
const isExplained = ({ path }: Source, others: readonly Source[]) =>
  path.endsWith('.cc') && others.some((other) => other.path === path.replace(/cc$/, 'h'));

function withoutHeader({ path, text }: Source): string[] {
  return /^(#![^\n]*\n)?\s*(\/\*|\/\/)/.test(text) ? [] : [`${path} has no header comment`];
}

// --- planes ---

const DATA_PLANE = /^src\/(proxy|protocol|routing|pool|tables)\//;

function clocksInDataPlane(source: Source): string[] {
  if (!DATA_PLANE.test(source.path)) return [];
  return linesMatching(source, /\b(Date\.now|new Date|performance\.now|hrtime)\b/);
}

// --- packaging ---

function badPackage(text: string): string[] {
  const complaints = [];
  const packed = JSON.parse(text) as { gypfile?: boolean; scripts?: { [name: string]: string } };
  if (packed.gypfile !== false) complaints.push('gypfile must be false: the build is ours');
  for (const name of Object.keys(packed.scripts ?? {})) {
    if (/^(pre|post)?install$|^prepare$/.test(name)) complaints.push(`a script named ${name}`);
  }
  return complaints;
}

function resolvedUrls(text: string): string[] {
  const { packages } = JSON.parse(text) as { packages: { [place: string]: object } };
  return Object.keys(packages).filter((place) => 'resolved' in (packages[place] ?? {}));
}

// --- the rules over the tree ---

const all = (sources: readonly Source[], rule: (source: Source) => string[]) =>
  sources.flatMap(rule);
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const tests = under('test/', /\.ts$/);
const written = [...product, ...native, ...tests].filter((source) => !isGenerated(source));

t.test('the tree', (t) => {
  t.ok(product.length > 0, 'the walk found the sources');
  t.same(all(product, upwardImports), [], 'imports point downwards');
  t.same(importCycles(product), [], 'no import cycles');
  t.same(all(product, barrels), [], 'no barrels');
  t.same(all(product, addonLoaders), [], 'one file loads the addon');
  t.same(all(written, longFiles), [], 'files are small');
  t.same(all(product, longFunctions), [], 'functions are small');
  t.same(all(native, longNativeFunctions), [], 'functions of the addon are small');
  const mute = [...product, ...native].filter((source) => !isExplained(source, native));
  t.same(all(mute, withoutHeader), [], 'every file says what it is');
  t.same(all(written, (one) => linesMatching(one, LEFTOVER)), [], 'nothing left over');
  t.same(all(tests, (one) => linesMatching(one, HALF_RUN)), [], 'no test is skipped or alone');
  t.same(all(tree, (one) => linesMatching(one, MACHINE_PATH)), [], 'no path of a machine');
  t.same(all(tree, (one) => linesMatching(one, REGISTRY_HOST)), [], 'no registry');
  t.same(all(product, clocksInDataPlane), [], 'the data plane reads no clock');
  t.same(badPackage(read('package.json')), [], 'package.json');
  t.same(resolvedUrls(read('package-lock.json')), [], 'the lock file names no host');
  const share = nativeShare(native, product);
  t.comment(`C++ is ${(share * 100).toFixed(0)} % of the code lines`);
  t.ok(share <= NATIVE_SHARE_MAX, 'C++ stays small');
  t.end();
});

// --- and over planted examples ---

const file = (path: string, ...lines: string[]): Source => ({ path, text: lines.join('\n') });

t.test('every rule can fail', (t) => {
  const finds = (complaints: string[], what: string) => t.equal(complaints.length, 1, what);
  finds(upwardImports(file('src/pool/a.ts', "import { b } from '../proxy/b.js';")), 'upwards');
  finds(upwardImports(file('src/pool/a.ts', "export * from '../tables/b.js';")), 'sideways');
  finds(upwardImports(file('src/pool/a.ts', "void import('../worker/b.js');")), 'dynamic');
  finds(upwardImports(file('src/master/a.ts', "import '../worker/main.js';")), 'master, worker');
  finds(upwardImports(file('src/util/a.ts', '')), 'a folder that is no layer');
  t.same(upwardImports(file('src/pool/a.ts', "import '../base/b.js';", "import './c.js';")), []);
  finds(importCycles([file('src/pool/a.ts', "import './b.js';"),
    file('src/pool/b.ts', "import './a.js';")]), 'a cycle');
  finds(barrels(file('src/pool/index.ts', 'export const one = 1;')), 'an index');
  finds(barrels(file('src/pool/all.ts', "export * from './a.js';")), 'a barrel');
  finds(addonLoaders(file('src/proxy/a.ts', "require('../baton.node')")), 'an addon loaded');
  finds(addonLoaders(file('src/proxy/a.ts', 'process.dlopen(module, path)')), 'dlopen');
  finds(longFiles(file('src/pool/a.ts', 'x\n'.repeat(FILE_LINES_MAX + 1))), 'a long file');
  finds(longFiles(file('a.cc', 'x\n'.repeat(NATIVE_FILE_LINES_MAX + 1))), 'a long .cc');
  const long = `function f() {\n${'x();\n'.repeat(FUNCTION_LINES_MAX)}}`;
  finds(longFunctions(file('a.ts', long)), 'a long function');
  finds(longFunctions(file('a.ts', `class A { m() {\n${'x();\n'.repeat(80)}}}`)), 'a long method');
  finds(longNativeFunctions(file('a.cc', 'int f(int x) {', '  y();\n'.repeat(100), '}')), 'in C++');
  finds(withoutHeader(file('a.ts', "import t from 'tap';", '// late')), 'no header');
  t.same(withoutHeader(file('a.ts', '/** What it is. */')), []);
  t.notOk(isExplained(file('a.cc'), [file('b.h')]), 'the header of another file');
  t.ok(isExplained(file('a.cc'), [file('a.h')]), 'its own header');
  finds(linesMatching(file('a.ts', joined('// TO', 'DO: later')), LEFTOVER), 'a leftover');
  finds(linesMatching(file('a.ts', joined('t.on', 'ly(() => {})')), HALF_RUN), 'a lone test');
  finds(linesMatching(file('a.ts', joined('t.sk', 'ip(() => {})')), HALF_RUN), 'a skipped test');
  finds(linesMatching(file('a', joined("'/ho", "me/me/baton'")), MACHINE_PATH), 'a path');
  finds(linesMatching(file('a', joined('https://regis', 'try.example.org/x')), REGISTRY_HOST), 'host');
  finds(clocksInDataPlane(file('src/proxy/a.ts', 'const now = Date.now();')), 'a clock');
  t.same(clocksInDataPlane(file('src/admin/a.ts', 'const now = Date.now();')), []);
  finds(badPackage('{}'), 'gypfile missing');
  finds(badPackage('{"gypfile":false,"scripts":{"postinstall":"x"}}'), 'an install script');
  finds(resolvedUrls('{"packages":{"node_modules/a":{"resolved":"x"}}}'), 'a resolved URL');
  const share = nativeShare([file('a.cc', '// no', 'int x;')], [file('a.ts', '/* no', '*/', 'y')]);
  t.equal(share, 0.5, 'comments are not counted');
  t.equal(nativeShare([file('a.gen.h', 'x')], [file('b.ts', 'y')]), 0, 'nor what is generated');
  t.end();
});
