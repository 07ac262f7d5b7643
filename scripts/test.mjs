/**
 * npm test [-- FILTER...] [--asan]: makes ready, then runs every compiled test file.
 *
 * A test file is a program that prints TAP; it runs under plain Node in a process group of its own
 * (`npx tap` works too, but costs two seconds of start-up per file). Two rounds: what only computes
 * (unit, model) uses every core; what starts servers (process, compat) runs two at a time, so that
 * its timings mean something. A file fails if a point of it fails, if its TAP does not add up, if
 * its exit code is not 0, if it exceeds its time, or if it leaves processes behind.
 *
 * FILTER: part of a path below dist/test, as in `npm test -- unit/pool`. The last line counts
 * assertions. BATON_TEST_RESULTS=FILE receives the same counts as JSON.
 */
import { spawn } from 'node:child_process';
import { createWriteStream, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Refusal, asProgram, killRunning, root, run } from './run.mjs';
import { TEST_PROGRAMS, setup } from './setup.mjs';
import { readTap } from './tap-points.mjs';

const TESTS = join(root, 'dist/test');
const LOGS = join(root, '.tap/output'); // each file's whole output, for reading after a failure
const DETAIL_LINES = 40;
const LEFTOVER_GRACE_MS = 2000; // a server that was told to stop may still be on its way out
const KILL_GRACE_MS = 5000; // between TERM and KILL of a file that exceeded its time
const STDERR_CHARS = 4000;

const ROUNDS = [
  { holds: (name) => !isHeavy(name), jobs: availableParallelism(), timeoutS: 300 },
  { holds: isHeavy, jobs: Math.min(2, availableParallelism()), timeoutS: 900 },
];

function isHeavy(name) {
  return name.startsWith('process/') || name.startsWith('compat/');
}

const groups = new Set(); // leaders of running test files' process groups

function killGroup(leader, signal) {
  try {
    process.kill(-leader, signal);
    return true;
  } catch {
    return false; // nobody left in it
  }
}

/** Waits until the group is empty; after the grace it is killed. False when that was needed. */
async function isGroupGone(leader) {
  const deadline = Date.now() + LEFTOVER_GRACE_MS;
  while (killGroup(leader, 0)) {
    if (Date.now() > deadline) return !killGroup(leader, 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** Runs one file; resolves to its result as readTap's, with what went wrong around it added. */
function runFile(name, timeoutS, env) {
  return new Promise((resolve) => {
    const began = Date.now();
    const child = spawn(process.execPath, ['--enable-source-maps', join(TESTS, name)], {
      cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'],
      env: { TAP_TIMEOUT: String(timeoutS), ...process.env, ...env }, // tap's own 30 s are not for a busy machine
    });
    groups.add(child.pid);
    const log = createWriteStream(join(LOGS, `${name.replaceAll('/', '-')}.tap`));
    let [out, err, isLate] = ['', '', false];
    child.stdout.on('data', (bytes) => { out += bytes; log.write(bytes); });
    child.stderr.on('data', (bytes) => { err += bytes; log.write(bytes); });
    const timer = setTimeout(() => {
      isLate = true;
      killGroup(child.pid, 'SIGTERM');
      setTimeout(() => killGroup(child.pid, 'SIGKILL'), KILL_GRACE_MS).unref();
    }, timeoutS * 1000);
    // `exit`, not `close`: a process left behind may hold the pipes open for ever.
    child.on('exit', async (code, signal) => {
      clearTimeout(timer);
      const isClean = await isGroupGone(child.pid);
      groups.delete(child.pid);
      log.end();
      const result = readTap(out);
      const complain = (text) => result.failures.push({ name: text, detail: [] });
      if (isLate) complain(`not finished after ${timeoutS} s`);
      if (!isClean) complain('left processes running');
      if (signal !== null && !isLate) complain(`died of ${signal}`);
      if (code !== 0 && result.failures.length === 0) complain(`exit code ${code}`);
      resolve({ name, ...result, err, seconds: (Date.now() - began) / 1000 });
    });
  });
}

function report(result) {
  const { name, passed, skipped, failures, seconds, err } = result;
  const skips = skipped > 0 ? `, ${skipped} skipped` : '';
  const counts = failures.length > 0 ? `${passed} passed, ${failures.length} FAILED` : `${passed}`;
  const mark = failures.length > 0 ? 'FAIL' : 'ok  ';
  console.log(`${mark} ${name}  ${counts}${skips}  ${seconds.toFixed(1)} s`);
  for (const failure of failures) {
    console.log(`     not ok: ${failure.name}`);
    for (const line of failure.detail.slice(0, DETAIL_LINES)) console.log(`       ${line}`);
  }
  if (failures.length > 0 && err !== '') {
    console.log(`     stderr:\n${err.slice(-STDERR_CHARS).replace(/^/gm, '       ')}`);
  }
}

async function runRound(names, { jobs, timeoutS }, env) {
  const results = [];
  const waiting = [...names];
  const lane = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const result = await runFile(name, Number(process.env.BATON_TEST_TIMEOUT_S) || timeoutS, env);
      report(result);
      results.push(result);
    }
  };
  await Promise.all(Array.from({ length: jobs }, lane));
  return results;
}

function testFiles(filters) {
  if (!existsSync(TESTS)) return [];
  const all = readdirSync(TESTS, { recursive: true }).filter((name) => name.endsWith('.test.js'));
  const isWanted = (name) => filters.length === 0 || filters.some((part) => name.includes(part));
  return all.filter(isWanted).sort();
}

/** The sanitizers' runtime must be loaded before Node's own allocator is first used. */
async function asanEnvironment() {
  const { output } = await run('g++', ['-print-file-name=libasan.so'], { quiet: true });
  return {
    LD_PRELOAD: output.trim(),
    ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1', // Node itself never frees everything
    UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
    BATON_ADDON: join(root, 'build-asan/build/Release/baton.node'),
  };
}

function endOnSignals() {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.on(signal, () => {
      killRunning();
      for (const leader of groups) killGroup(leader, 'SIGKILL');
      console.log(`stopped by ${signal}`);
      process.exit(1);
    });
  }
}

function writeResults(counts) {
  const file = process.env.BATON_TEST_RESULTS;
  if (file !== undefined && file !== '') writeFileSync(file, `${JSON.stringify(counts)}\n`);
}

function summarize(results) {
  const sum = (count) => results.reduce((total, result) => total + count(result), 0);
  const counts = {
    files: results.length,
    passed: sum((result) => result.passed),
    failed: sum((result) => result.failures.length),
    skipped: sum((result) => result.skipped),
  };
  console.log('');
  for (const { name, failures } of results) {
    for (const failure of failures) console.log(`failed: ${name}: ${failure.name}`);
  }
  const skips = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  console.log(`${counts.files} files: ${counts.passed} passed, ${counts.failed} failed${skips}`);
  writeResults(counts);
  return counts.failed === 0 ? 0 : 1;
}

await asProgram(import.meta.url, async (args) => {
  endOnSignals();
  const asan = args.includes('--asan');
  const strange = args.find((arg) => arg.startsWith('--') && arg !== '--asan');
  if (strange !== undefined) throw new Refusal(`${strange}: the only option is --asan`);
  const filters = args.filter((arg) => !arg.startsWith('--'));
  const variants = asan ? ['faults', 'asan'] : ['faults'];
  await setup({ programs: TEST_PROGRAMS, dev: true, variants });
  const names = testFiles(filters);
  if (names.length === 0) throw new Refusal(`no test file matches ${filters.join(' ')}`);
  mkdirSync(LOGS, { recursive: true });
  const env = asan ? await asanEnvironment() : {};
  const results = [];
  for (const round of ROUNDS) {
    results.push(...await runRound(names.filter(round.holds), round, env));
  }
  return summarize(results);
});
