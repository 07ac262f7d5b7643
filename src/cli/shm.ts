/**
 * `baton shm`: an instance's shared memory, found by the pid file as -s finds its master, but with
 * nobody asked: it works without a master, and beside two of them. Reads only.
 */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { ExitCode, OperatorError, systemCode, systemReason } from '../base/errors.js';
import { birthOf, titleOf } from '../base/process-state.js';
import { check, isWell, verdictText } from '../inspect/check.js';
import type { Facts, MasterFact } from '../inspect/facts.js';
import { InstanceObject, UnreadableObject } from '../inspect/instance-object.js';
import { readReport } from '../inspect/report.js';
import { reportText } from '../inspect/report-text.js';
import { FD_BASE } from '../master/capacities.js';
import { objectName } from '../master/memory.js';
import { oldPath, readPid } from '../master/pid-file.js';
import { readRoster } from '../master/stored-roster.js';
import type { Roster } from '../config/roster.js';
import type { ShmOptions } from './args.js';
import { findMaster, whichOne } from './control.js';

export interface Shown {
  readonly out: string;
  readonly exitCode: ExitCode;
}

/** Throws OperatorError when there is nothing to be read. `pidFile` null: none is configured. */
export async function shm(options: ShmOptions, pidFile: string | null): Promise<Shown> {
  const path = pidFile ?? whichOne('shm');
  const object = open(path);
  try {
    return options.check ? await checked(object, options.json) : shown(object, path, options);
  } finally {
    object.close();
  }
}

async function checked(object: InstanceObject, asJson: boolean): Promise<Shown> {
  const verdict = await check(object, FD_BASE);
  const out = asJson ? jsonText(verdict) : verdictText(verdict);
  return { out, exitCode: isWell(verdict) ? ExitCode.Ok : ExitCode.Failed };
}

function shown(object: InstanceObject, path: string, options: ShmOptions): Shown {
  const roster = rosterOf(object);
  const facts: Facts = {
    masters: mastersOf(path, object.masterPid),
    pools: roster === null ? null : roster.pools.length,
    backends: roster === null ? null
      : roster.pools.reduce((sum, { backends }) => sum + backends.length, 0),
    isAlive: (pid) => pid > 0 && birthOf(pid) !== null,
  };
  const report = readReport(object, facts);
  const out = options.json ? jsonText(report) : reportText(report, options.columns);
  return { out, exitCode: ExitCode.Ok };
}

function open(path: string): InstanceObject {
  const name = objectName(resolve(path));
  try {
    return InstanceObject.open(name);
  } catch (error) {
    if (error instanceof UnreadableObject) throw failed('unreadable', error.message);
    switch (systemCode(error)) {
      case 'ENOENT': {
        const { pid } = findMaster(path); // says why there is none
        throw failed('no-memory', `${path}: pid ${pid} runs, but its shared memory ${name} is not here`);
      }
      case 'EACCES':
        throw failed('foreign', `${path}: shared memory ${name} belongs to uid ${uidOf(name)}, ` +
          'and only that user and root may read it');
      default:
        throw failed('unreadable', `${path}: shared memory ${name}: ${systemReason(error)}`);
    }
  }
}

function uidOf(name: string): number {
  return statSync(`/dev/shm${name}`).uid;
}

/** Those that pid files name, and the one in charge if none of them does. */
function mastersOf(path: string, inCharge: number): MasterFact[] {
  const named = [path, oldPath(path)].flatMap((file) => {
    const pid = readPid(file);
    return pid === null ? [] : [{ pid, file }];
  });
  const all = named.some(({ pid }) => pid === inCharge) ? named
    : [...named, { pid: inCharge, file: '' }];
  return all.map(({ pid, file }) => ({ pid, file, isAlive: isMaster(pid) }));
}

function isMaster(pid: number): boolean {
  return pid > 0 && birthOf(pid) !== null && titleOf(pid).startsWith('baton: master process');
}

/** The one that lanes follow; null: it cannot be read. */
function rosterOf(object: InstanceObject): Roster | null {
  const { confBase, capacities } = object.plan;
  const half = capacities.confBytes / 2;
  try {
    const region = object.bytes(confBase + (object.generation & 1) * half, half);
    return readRoster(region)?.roster ?? null;
  } catch {
    return null; // just being written, or damaged
  }
}

function jsonText(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function failed(code: string, line: string): OperatorError {
  return new OperatorError(code, [line], ExitCode.Failed);
}
