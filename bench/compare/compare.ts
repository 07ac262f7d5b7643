/**
 * The order of the runs.
 *
 *   for every repetition:  cells in random order
 *     for every cell:      parties in random order, one after the other
 *
 * so that the runs of a pair lie seconds apart and nobody always comes first. The first run of a
 * party in a cell is preceded by a calibration, which is also its warm-up.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { timeWaitTo } from './accounting.js';
import { CellKind, type Cell } from './cells.js';
import { idleCount, measureIdle, type IdleSample } from './idle.js';
import { calibrate, CONNECT_REQUESTS, measure, type Sample } from './load.js';
import type { Options } from './options.js';
import { SECOND_ADDRESS, type Party } from './parties.js';
import type { Processes } from './processes.js';
import type { CellRuns } from './summary.js';
import type { Instance, Testbed } from './testbed.js';

/** TIME_WAIT sockets to one port from which on connect() gets slow; README, short connections. */
const TIME_WAIT_TRAP = 14_000;
const TIME_WAIT_MARGIN = 1000;

export interface Bench {
  readonly options: Options;
  readonly processes: Processes;
  readonly testbed: Testbed;
  readonly descriptors: number;
  /** Progress, one line. */
  say(line: string): void;
  /** Something that belongs into the results. */
  remark(line: string): void;
}

function shuffled<T>(items: readonly T[]): T[] {
  return items.map((item) => ({ item, at: Math.random() })).sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

export function takesPart(party: Party, cell: Cell): boolean {
  return cell.data.servers === 1 || party.shards;
}

/** Waits until a connect run cannot reach the trap, at the party's port or behind the party. */
async function untilPortsRested(bench: Bench, instance: Instance): Promise<void> {
  const { party, port, servers } = instance;
  const limit = TIME_WAIT_TRAP - TIME_WAIT_MARGIN - CONNECT_REQUESTS;
  const isNear = (): boolean => timeWaitTo('127.0.0.1', port) > limit
    || (party.descriptorsPerClient === 2 && timeWaitTo(SECOND_ADDRESS, servers[0]!) > limit);
  if (isNear()) bench.say(`  waiting for old connections of ${party.title} to end`);
  while (isNear()) await sleep(1000);
}

class Schedule {
  readonly #bench: Bench;
  readonly #requests = new Map<string, number>(); // by party/cell, from the calibration
  readonly results: CellRuns[];

  constructor(bench: Bench, cells: readonly Cell[]) {
    this.#bench = bench;
    this.results = cells.map((cell) => ({ cell, runs: new Map() }));
  }

  async repetition(number: number, parties: readonly Party[]): Promise<void> {
    for (const { cell, runs } of shuffled(this.results)) {
      for (const party of parties.filter((it) => takesPart(it, cell))) {
        if (!runs.has(party.name)) runs.set(party.name, []);
      }
      for (const party of shuffled(parties.filter((it) => takesPart(it, cell)))) {
        const sample = await this.#tryOne(party, cell);
        runs.get(party.name)!.push(sample);
        this.#report(number, party, cell, sample);
      }
    }
  }

  async #tryOne(party: Party, cell: Cell): Promise<Sample | null> {
    try {
      return await this.#one(party, cell);
    } catch (error) {
      if (this.#bench.processes.isStopping) throw error;
      this.#bench.remark(`${party.title}: ${(error as Error).message}`);
      return null;
    }
  }

  async #one(party: Party, cell: Cell): Promise<Sample> {
    const { processes, testbed, options } = this.#bench;
    const instance = await testbed.instance(party, cell.data);
    const name = `${party.name}/${cell.name}`;
    let requests = this.#requests.get(name);
    if (requests === undefined) {
      requests = await calibrate(processes, instance, cell, options.keys, options.seconds);
      this.#requests.set(name, requests);
    }
    if (cell.kind === CellKind.Connect) await untilPortsRested(this.#bench, instance);
    return measure(processes, instance, cell, options.keys, requests);
  }

  #report(number: number, party: Party, cell: Cell, sample: Sample | null): void {
    const figures = sample === null ? 'failed'
      : `${sample.rps.toFixed(0)}/s  ${sample.cpuUs.toFixed(3)} µs`;
    this.#bench.say(`  ${number}/${this.#bench.options.reps}  ${cell.name.padEnd(15)} ${
      party.name.padEnd(11)} ${figures}`);
  }
}

/** Runs all cells but `idle`. A failed run is a remark and a null, never the end of all. */
export async function compare(
  bench: Bench, cells: readonly Cell[], parties: readonly Party[],
): Promise<CellRuns[]> {
  const schedule = new Schedule(bench, cells.filter((cell) => cell.kind !== CellKind.Idle));
  for (let number = 1; number <= bench.options.reps; number += 1) {
    await schedule.repetition(number, parties);
  }
  return schedule.results;
}

/** Runs the idle cell once for every party: memory repeats within a page or two. */
export async function compareIdle(
  bench: Bench, cell: Cell, parties: readonly Party[],
): Promise<Map<string, IdleSample>> {
  const { options, processes, testbed, descriptors } = bench;
  const samples = new Map<string, IdleSample>();
  for (const party of parties) {
    try {
      await testbed.instance(party, cell.data); // the keys are there from now on
      const instance = await testbed.fresh(party, cell.data);
      const count = idleCount(options.idle, party.descriptorsPerClient, descriptors);
      bench.say(`  idle            ${party.name.padEnd(11)} ${count} connections`);
      const sample = await measureIdle(processes, instance, count, options.keys, options.seconds);
      await instance.stop();
      samples.set(party.name, sample);
    } catch (error) {
      if (processes.isStopping) throw error;
      bench.remark(`${party.title}: idle: ${(error as Error).message}`);
    }
  }
  return samples;
}
