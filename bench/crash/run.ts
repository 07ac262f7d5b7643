/**
 * npm run bench:crash: how long clients wait when a worker is killed.
 *
 * ../README.md explains the method. Exit codes: 0 every session got every reply, 1 one did not or
 * something did not start, 2 wrong options, 130 interrupted.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { OptionError } from '../compare/options.js';
import { firstLine, HOME } from '../compare/parties.js';
import { Processes, realTimePermitted } from '../compare/processes.js';
import { compileClient } from '../upgrade/clients.js';
import { startServers } from '../upgrade/instance.js';
import { complaintOf, measureCell, type Bench, type CellResult } from './measure.js';
import { readOptions, USAGE, type Options } from './options.js';
import { resultsMarkdown, type Results } from './tables.js';
import { stopOnSignals } from '../compare/signals.js';

const BEGIN = '<!-- crash:begin -->';
const END = '<!-- crash:end -->';

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

/** What to type for the same run; where its file went is left out. */
function commandLine(): string {
  const given = process.argv.slice(2);
  const kept = given.filter((word, at) => !/^--json(=|$)/.test(word) && given[at - 1] !== '--json');
  return ['npm run bench:crash', ...kept.length > 0 ? ['--', ...kept] : []].join(' ');
}

function machine(options: Options, realTime: boolean): Record<string, string> {
  const { depth, rate, kills } = options;
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    kernel: release(),
    node: process.version,
    load: `${rate} times a second one of the sessions writes ${depth} requests; ${kills} kills in a `
      + `cell; one lane; clients ${
        realTime ? 'under chrt -r 1' : 'under the default scheduler'}`,
    command: commandLine(),
    Baton: firstLine(join(HOME, 'bin/baton'), '-V') ?? 'unknown',
    Redis: firstLine('redis-server', '--version') ?? 'unknown',
  };
}

function publish(options: Options, results: Results): void {
  const json = `${JSON.stringify(results, null, 2)}\n`;
  if (options.json !== null) writeFileSync(options.json, json);
  if (!options.publish) return;
  const path = join(HOME, 'bench/README.md');
  const readme = readFileSync(path, 'utf8');
  const from = readme.indexOf(BEGIN);
  const to = readme.indexOf(END);
  if (from < 0 || to < from) throw new Error(`bench/README.md: ${BEGIN} … ${END} is missing`);
  const before = readme.slice(0, from + BEGIN.length);
  writeFileSync(path, `${before}\n\n${resultsMarkdown(results)}\n${readme.slice(to)}`);
  writeFileSync(join(HOME, 'bench/crash/result.json'), json);
}

async function runAll(options: Options, folder: string): Promise<void> {
  if (firstLine('redis-server', '--version') === null) {
    throw new OptionError('redis-server is needed and not installed');
  }
  const realTime = options.realTime && realTimePermitted();
  const processes = new Processes(folder, false); // Baton starts processes: no real time for them
  const stop = stopOnSignals(processes, folder, say);
  try {
    const client = [...realTime ? ['chrt', '-r', '1'] : [], compileClient(folder)];
    const servers = await startServers(processes, folder);
    const bench: Bench = { options, processes, folder, servers, client, say };
    const cells: CellResult[] = [];
    const remarks: string[] = [];
    for (const sessions of options.sessions) {
      say(`${sessions} sessions`);
      const cell = await measureCell(bench, sessions);
      cells.push(cell);
      const complaint = complaintOf(cell);
      if (complaint !== null) remarks.push(`with ${sessions} sessions ${complaint}`);
    }
    const results = { machine: machine(options, realTime), cells, remarks };
    process.stdout.write(`\n${resultsMarkdown(results)}`);
    publish(options, results);
    if (remarks.length > 0) process.exitCode = 1;
  } finally {
    if (stop.requested) await new Promise(() => {}); // the signal's handler ends us
    await processes.stopAll();
  }
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) {
    process.stdout.write(USAGE);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
  try {
    await runAll(options, folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  await main();
  process.exit(); // with the exit code set above: no idle socket may keep us here
} catch (error) {
  say(`bench: ${(error as Error).message}`);
  process.exit(error instanceof OptionError ? 2 : 1);
}
