/**
 * Lets workers die at named steps (native/fault.h): a page that the test and all workers map.
 *
 *   const faults = Faults.open(t);
 *   const baton = await Baton.start(t, { environment: faults.environment });
 *   faults.arm('Received', { after: 3 });
 *   faults.armChain([{ name: 'Sealed', action: FaultAction.Trap, steps: 200 }, { name: 'Undone' }]);
 */
import { closeSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';
import { waitFor } from './wait-for.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export const enum FaultAction { Kill = 1, Trap, Crash }

export interface Charge {
  readonly name: string;
  readonly after?: number; // it fires when a worker comes there that often
  readonly action?: FaultAction;
  readonly steps?: number; // Trap: instructions that the worker may still carry out
}

// The page, in words.
const ARMED = 0;
const COUNT = 1;
const CHARGES = 2;
const CHARGES_MAX = 4;
const CHARGE_WORDS = 5;
const FIRED = 4; // within a charge
const REACHES = CHARGES + CHARGES_MAX * CHARGE_WORDS;

export class Faults {
  /** Every name, in the order of native/fault.h. */
  static readonly names: readonly string[] = readNames();
  readonly #fd: number;

  private constructor(readonly file: string) {
    this.#fd = openSync(file, 'r+');
  }

  static open(scope: Scope): Faults {
    const file = join(scratch(scope), 'faults');
    writeFileSync(file, Buffer.alloc(4 * (REACHES + Faults.names.length)));
    const faults = new Faults(file);
    scope.teardown(() => closeSync(faults.#fd));
    return faults;
  }

  /** What a Baton needs to find the page. `build`: the folder of an addon with fault points. */
  environmentOf(build: string): NodeJS.ProcessEnv {
    return { BATON_FAULTS: this.file, BATON_ADDON: join(root, build, 'build/Release/baton.node') };
  }

  get environment(): NodeJS.ProcessEnv {
    return this.environmentOf('build-faults');
  }

  /** The `after`th time from now that a worker comes there, it is done for. */
  arm(name: string, charge: Omit<Charge, 'name'> = {}): void {
    this.armChain([{ name, ...charge }]);
  }

  /** Each charge is armed when the one before has fired. */
  armChain(charges: readonly Charge[]): void {
    this.disarm();
    const words = charges.flatMap(({ name, after = 1, action = FaultAction.Kill, steps = 0 }) =>
      [Faults.names.indexOf(name), after, action, steps, 0]);
    this.#write(CHARGES, words);
    this.#write(COUNT, [charges.length]);
    this.#write(ARMED, [1]);
  }

  disarm(): void {
    this.#write(ARMED, [0]);
  }

  /** The pids of the workers that were hit so far, in the order of charges; 0: not yet. */
  get hits(): number[] {
    return Array.from({ length: this.#read(COUNT) }, (_, i) =>
      this.#read(CHARGES + i * CHARGE_WORDS + FIRED));
  }

  /** The pid of the worker that the first charge has hit; 0: none yet. */
  get hit(): number {
    return this.#read(CHARGES + FIRED);
  }

  reaches(name: string): number {
    return this.#read(REACHES + Faults.names.indexOf(name));
  }

  async fired(patienceMs?: number): Promise<number> {
    return waitFor('a worker to come to the armed step', () => this.hit, patienceMs);
  }

  #read(word: number): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#fd, bytes, 0, 4, word * 4);
    return bytes.readInt32LE();
  }

  #write(word: number, values: readonly number[]): void {
    const bytes = Buffer.from(Int32Array.from(values).buffer);
    writeSync(this.#fd, bytes, 0, bytes.length, word * 4);
  }
}

function readNames(): string[] {
  const text = readFileSync(join(root, 'native/fault.h'), 'utf8');
  return [...text.matchAll(/each\((\w+)\)/g)].map(([, name]) => name!).filter((name) => name !== 'name');
}
