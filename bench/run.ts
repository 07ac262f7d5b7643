/**
 * npm run bench: Baton, its peers and Redis itself under the same loads, on this machine.
 *
 * README.md beside this file explains the method. Exit codes: 0 all runs counted, 1 a run failed
 * or a party did not start, 2 wrong options, 130 interrupted.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { CellKind, chooseCells, DEFAULT_CELLS } from './compare/cells.js';
import { compare, compareIdle, type Bench } from './compare/compare.js';
import { OptionError, readOptions, USAGE, type Options } from './compare/options.js';
import { firstLine, HOME, PARTIES, type Party } from './compare/parties.js';
import { Processes, realTimePermitted } from './compare/processes.js';
import { publish } from './compare/publish.js';
import { summarize, type Results } from './compare/summary.js';
import { resultsText } from './compare/tables.js';
import { Testbed } from './compare/testbed.js';
import { stopOnSignals } from './compare/signals.js';

const say = (line: string): void => { process.stderr.write(`${line}\n`); };

function descriptorLimit(): number {
  const line = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'latin1'));
  const limit = Number(line?.[1]);
  return Number.isFinite(limit) ? limit : 1_000_000; // "unlimited"
}

interface Chosen {
  readonly parties: readonly Party[];
  readonly versions: readonly [string, string][];
}

/** The parties asked for that are installed; the others get a remark. */
function chooseParties(options: Options, remark: (line: string) => void): Chosen {
  const known = PARTIES.map((party) => party.name);
  const unknown = options.parties?.find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new OptionError(`--parties: ${unknown} is not one of ${known.join(', ')}`);
  }
  const parties: Party[] = [];
  const versions: [string, string][] = [];
  for (const party of PARTIES) {
    const isAsked = options.parties?.includes(party.name) ?? party.isExtra !== true;
    if (!isAsked) continue;
    const version = party.version();
    if (version === null) {
      remark(`${party.title} is not installed here and was left out`);
      continue;
    }
    parties.push(party);
    versions.push([party.title, version]);
  }
  return { parties, versions };
}

/** What to type for the same run; where its files went is left out. */
function commandLine(): string {
  const files = /^--(json|svg|markdown)(=|$)/;
  const given = process.argv.slice(2);
  const kept = given.filter((word, at) => !files.test(word)
    && !/^--(json|svg|markdown)$/.test(given[at - 1] ?? ''));
  return ['npm run bench', ...kept.length > 0 ? ['--', ...kept] : []].join(' ');
}

function machine(options: Options, chosen: Chosen, realTime: boolean): Record<string, string> {
  return {
    date: new Date().toISOString().slice(0, 10),
    processor: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
    kernel: release(),
    node: process.version,
    method: `${realTime ? 'chrt -r 1' : 'default scheduler'}, ${options.reps} repetitions of ${
      options.seconds} s, ${options.keys} keys`,
    command: commandLine(),
    ...Object.fromEntries(chosen.versions),
  };
}

async function runAll(options: Options, folder: string, remarks: string[]): Promise<void> {
  const remark = (line: string): void => {
    const text = line.replaceAll(`${folder}/`, '').replaceAll(HOME, ''); // they may be published
    if (remarks.includes(text)) return;
    remarks.push(text);
    say(`note: ${text}`);
  };
  const cells = chooseCells(options.only);
  const chosen = chooseParties(options, remark);
  const needed = ['redis-server', 'redis-benchmark'];
  if (needed.some((name) => firstLine(name, '--version') === null)) {
    throw new OptionError(`${needed.join(' and ')} are needed and not installed`);
  }
  const realTime = options.realTime && realTimePermitted();
  if (options.realTime && !realTime) remark('chrt -r 1 is not permitted: expect P=1 to vary more');
  const processes = new Processes(folder, realTime);
  const stop = stopOnSignals(processes, folder, say);
  try {
    const descriptors = descriptorLimit();
    const testbed = new Testbed(processes, folder, options.keys, descriptors);
    const bench: Bench = { options, processes, testbed, descriptors, say, remark };
    const runs = await compare(bench, cells, chosen.parties);
    const idleCell = cells.find((cell) => cell.kind === CellKind.Idle);
    const idle = idleCell && await compareIdle(bench, idleCell, chosen.parties);
    const results: Results = {
      machine: machine(options, chosen, realTime),
      cells: runs.map(summarize).filter((summary) => summary.rows.length > 0),
      idle: idle ?? new Map(),
      remarks,
    };
    process.stdout.write(`\n${resultsText(results)}`);
    publish(options, results, runs);
    const failed = runs.some((it) => [...it.runs.values()].some((list) => list.includes(null)));
    const missing = idle !== undefined && idle.size < chosen.parties.length;
    if (failed || missing) process.exitCode = 1;
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
  if (options.list) {
    process.stdout.write(`${DEFAULT_CELLS.join('\n')}\n`);
    return;
  }
  const folder = mkdtempSync(join(tmpdir(), 'baton-bench-'));
  try {
    await runAll(options, folder, []);
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
