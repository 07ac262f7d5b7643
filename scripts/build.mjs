/**
 * npm run build: TypeScript to dist/, the addon to build/Release/baton.node.
 *
 *   src, test, bench, tsconfig.json  ->  tsc       ->  dist/          stamp: dist/.stamp
 *   native, binding.gyp              ->  node-gyp  ->  build/Release  stamp: build/stamp.json
 *
 * A half whose inputs are older than its stamp is skipped, so a second build takes no time. The
 * stamp carries the time at which the build began: a file saved meanwhile makes it stale again.
 * --asan builds the addon once more, into build-asan/, with address and UB sanitizers; --faults into
 * build-faults/, with the places in which tests let a worker die; --unsafe into build-unsafe/, without
 * what only deaths need, for bench/compare.
 */
import {
  copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, realpathSync, rmSync, statSync,
  symlinkSync, utimesSync, writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { Refusal, asProgram, nodeGyp, root, run, say, which } from './run.mjs';

const COMPILED = ['src', 'test', 'bench'];
const BUILD_JOBS = 2;
const VARIANTS = { asan: '-Dsanitize=1', faults: '-Dfaults=1', unsafe: '-Dunsafe=1' };

/** Every file below a folder that passes the test, as absolute paths. */
function filesBelow(folder, wanted) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true })
    .map((name) => join(folder, name))
    .filter(wanted);
}

function newest(files) {
  return files.reduce((time, file) => Math.max(time, statSync(file).mtimeMs), 0);
}

function timeOf(file) {
  return existsSync(file) ? statSync(file).mtimeMs : -1;
}

/** Writes a stamp dated `began`; whole milliseconds, because utimes may round down below that. */
function stamp(file, text, began) {
  writeFileSync(file, text);
  utimesSync(file, Math.floor(began) / 1000, Math.floor(began) / 1000);
}

// --- TypeScript ---

function sources() {
  return COMPILED.flatMap((name) => filesBelow(join(root, name), (file) =>
    file.endsWith('.ts') && !file.endsWith('.d.ts')));
}

function outputOf(source) {
  return join(root, 'dist', relative(root, source)).replace(/\.ts$/, '.js');
}

/** Compiled files whose source is gone: left alone, a deleted test would go on running. */
function orphans(inputs) {
  const outputs = new Set(inputs.map(outputOf));
  return filesBelow(join(root, 'dist'), (file) => file.endsWith('.js') && !outputs.has(file));
}

export function isCompiled() {
  const inputs = sources();
  return timeOf(join(root, 'dist/.stamp')) > newest([...inputs, join(root, 'tsconfig.json')])
    && inputs.every((file) => existsSync(outputOf(file)))
    && orphans(inputs).length === 0;
}

async function compile() {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  if (!existsSync(tsc)) throw new Refusal('npm packages are missing: run npm ci');
  const began = Date.now();
  for (const file of orphans(sources())) {
    rmSync(file);
    rmSync(`${file}.map`, { force: true });
  }
  const { status } = await run(process.execPath, [tsc, '-p', 'tsconfig.json']);
  if (status !== 0) throw new Refusal(`the TypeScript compiler found mistakes (exit ${status})`);
  stamp(join(root, 'dist/.stamp'), '', began);
  say(`compiled src, test and bench in ${seconds(began)}`);
}

// --- C++ ---

function nativeInputs() {
  return [...filesBelow(join(root, 'native'), (file) => /\.(cc|h)$/.test(file)),
    join(root, 'binding.gyp')];
}

/** What, beside the age of files, decides whether an addon fits: the Node and the file list. */
function nativeIdentity() {
  const files = nativeInputs().map((file) => relative(root, file)).sort();
  return JSON.stringify({ node: process.version, arch: process.arch, files });
}

function isAddonBuilt(place) {
  const stampFile = join(place, 'build/stamp.json');
  return existsSync(join(place, 'build/Release/baton.node'))
    && timeOf(stampFile) > newest(nativeInputs())
    && readFileSync(stampFile, 'utf8') === nativeIdentity();
}

/** One line for all that is missing, because the second trip to apt is the annoying one. */
function refuseWithoutCompiler() {
  const wanted = { 'g++': 'g++', make: 'make', python3: 'python3' };
  const missing = Object.keys(wanted).filter((name) => which(name) === undefined);
  if (process.env.CXX !== undefined && missing[0] === 'g++') missing.shift();
  if (missing.length === 0) return;
  const packages = missing.map((name) => wanted[name]).join(' ');
  throw new Refusal(`the addon needs ${missing.join(', ')}: apt-get install ${packages}`);
}

/** The running Node's own headers, if it carries them; otherwise node-gyp finds its own way. */
function nodeDirectory() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  return existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
}

async function buildAddon(place, defines) {
  refuseWithoutCompiler();
  if (!existsSync(join(root, 'node_modules/node-addon-api'))) {
    throw new Refusal('npm packages are missing: run npm ci');
  }
  const began = Date.now();
  const gyp = nodeGyp();
  const steps = [
    ['configure', ...nodeDirectory(), '--', ...defines],
    ['build', ...nodeDirectory(), '-j', String(BUILD_JOBS)],
  ];
  for (const step of steps) {
    const { status, output } = await run(process.execPath, [gyp, ...step],
      { quiet: true, cwd: place });
    if (status === 0 && !/\bwarning:/.test(output)) continue;
    process.stderr.write(output);
    if (status !== 0) throw new Refusal(`the addon did not build (node-gyp exit ${status})`);
  }
  stamp(join(place, 'build/stamp.json'), nativeIdentity(), began);
  say(`built the addon in ${seconds(began)}`);
}

/** node-gyp builds beside binding.gyp only, so another build gets a folder of links. */
function placeOf(variant) {
  const place = join(root, `build-${variant}`);
  mkdirSync(place, { recursive: true });
  copyFileSync(join(root, 'binding.gyp'), join(place, 'binding.gyp'));
  for (const name of ['native', 'node_modules', 'package.json']) {
    const link = join(place, name);
    if (!existsSync(link)) symlinkSync(join('..', name), link);
  }
  return place;
}

function seconds(began) {
  return `${((Date.now() - began) / 1000).toFixed(1)} s`;
}

export function isBuilt() {
  return isCompiled() && isAddonBuilt(root);
}

/** Builds what is stale. Throws Refusal with a line for the operator when it cannot. */
export async function build({ variants = [] } = {}) {
  if (!isCompiled()) await compile();
  if (!isAddonBuilt(root)) await buildAddon(root, []);
  for (const variant of variants) {
    const place = placeOf(variant);
    if (!isAddonBuilt(place)) await buildAddon(place, [VARIANTS[variant]]);
  }
}

await asProgram(import.meta.url, async (args) => {
  const variants = args.map((arg) => arg.replace(/^--/, ''));
  const strange = variants.find((variant) => VARIANTS[variant] === undefined);
  if (strange !== undefined) {
    throw new Refusal(`${strange}: the options are --${Object.keys(VARIANTS).join(', --')}`);
  }
  const wasBuilt = isBuilt();
  await build({ variants });
  if (wasBuilt) say('dist and the addon are up to date');
});
