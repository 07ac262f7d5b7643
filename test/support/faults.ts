/**
 * Lets a worker die at a named step (native/fault.h): a page that the test and all workers map.
 *
 *   const faults = Faults.open(t);
 *   const baton = await Baton.start(t, { environment: faults.environment });
 *   faults.arm('Received', { after: 3 });
 *   await faults.fired();
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';
import { waitFor } from './wait-for.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const HEAD_BYTES = 16;

export const enum FaultAction { Kill = 1, Trap, Crash }

export class Faults {
  /** Every name, in the order of native/fault.h. */
  static readonly names: readonly string[] = readNames();
  readonly #fd: number;

  private constructor(readonly file: string) {
    this.#fd = openSync(file, 'r+');
  }

  static open(scope: Scope): Faults {
    const file = join(scratch(scope), 'faults');
    writeFileSync(file, Buffer.alloc(HEAD_BYTES + 4 * Faults.names.length));
    const faults = new Faults(file);
    scope.teardown(() => closeSync(faults.#fd));
    return faults;
  }

  get environment(): NodeJS.ProcessEnv {
    const addon = join(root, 'build-faults/build/Release/baton.node');
    return { BATON_FAULTS: this.file, BATON_ADDON: addon };
  }

  /** The `after`th time from now that a worker comes there, it is done for. */
  arm(name: string, { after = 1, action = FaultAction.Kill as FaultAction } = {}): void {
    this.#write(1, after);
    this.#write(2, action);
    this.#write(3, 0);
    this.#write(0, Faults.names.indexOf(name) + 1);
  }

  disarm(): void {
    this.#write(0, 0);
  }

  /** The pid of the worker that was hit; 0: none yet. */
  get hit(): number {
    return this.#read(3);
  }

  reaches(name: string): number {
    return this.#read(HEAD_BYTES / 4 + Faults.names.indexOf(name));
  }

  async fired(patienceMs?: number): Promise<number> {
    return waitFor('a worker to come to the armed step', () => this.hit, patienceMs);
  }

  #read(word: number): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#fd, bytes, 0, 4, word * 4);
    return bytes.readInt32LE();
  }

  #write(word: number, value: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32LE(value);
    writeSync(this.#fd, bytes, 0, 4, word * 4);
  }
}

function readNames(): string[] {
  const text = readFileSync(join(root, 'native/fault.h'), 'utf8');
  return [...text.matchAll(/each\((\w+)\)/g)].map(([, name]) => name!).filter((name) => name !== 'name');
}
