/**
 * Threads on a machine whose stores become visible late, walked through in every possible order.
 *
 *   thread ── store ──► its buffer ── some time later, oldest first ──► memory
 *   load: what its own buffer has of that, else memory
 *   a fence, an exchange and a system call wait until the thread's buffer is empty
 *
 * That is x86 (TSO); what fails here fails there. Threads may also die, `deaths` times in all, before
 * any step that others can see: what they have stored still becomes visible, and a successor begins
 * at `rescue` with those registers that are said to last.
 */
export type Registers = number[];

export type Step =
  | { readonly op: 'store'; readonly to: number; readonly value: (r: Registers) => number }
  | { readonly op: 'load'; readonly into: number; readonly from: number }
  | { readonly op: 'exchange'; readonly into: number; readonly at: number;
      readonly value: (r: Registers, old: number) => number }
  | { readonly op: 'fence' }
  | { readonly op: 'compute'; readonly run: (r: Registers) => void }
  | { readonly op: 'go'; readonly when: (r: Registers) => boolean; readonly to: string }
  /** Sleeps while memory holds 0 there; then it is set to 0, as reading an eventfd does. */
  | { readonly op: 'sleep'; readonly on: number }
  | { readonly op: 'label'; readonly name: string };

export interface Thread {
  readonly steps: readonly Step[];
  readonly registers: number;
  readonly lasting: readonly number[]; // registers that outlive the thread: committed rows
}

export interface Machine {
  readonly threads: readonly Thread[];
  readonly memory: readonly number[]; // at the start
  readonly deaths: number;
  /** Asked when nobody can go on any more; null: that is as it should be. */
  readonly wrong: (registers: readonly Registers[], memory: readonly number[]) => string | null;
}

interface ThreadState {
  readonly at: number;
  readonly registers: readonly number[];
  readonly buffer: readonly (readonly [number, number])[];
}

interface State {
  readonly memory: readonly number[];
  readonly threads: readonly ThreadState[];
  readonly deaths: number;
}

export interface Outcome {
  readonly states: number;
  readonly ends: number;
  readonly wrong: string | null; // the first one found
}

export function walk(machine: Machine): Outcome {
  const start: State = {
    memory: machine.memory,
    threads: machine.threads.map(({ registers }) =>
      ({ at: 0, registers: new Array<number>(registers).fill(0), buffer: [] })),
    deaths: machine.deaths,
  };
  const first = machine.threads.reduce((state, thread, i) => settled(thread, state, i), start);
  const seen = new Set([keyOf(first)]);
  const open = [first];
  let ends = 0;
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    const next = successors(machine, state);
    if (next.length === 0) {
      ends += 1;
      const wrong = machine.wrong(
        state.threads.map((each) => [...each.registers]), state.memory);
      if (wrong !== null) return { states: seen.size, ends, wrong };
    }
    for (const each of next) {
      const key = keyOf(each);
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(each);
    }
  }
  return { states: seen.size, ends, wrong: null };
}

/** Every number in it is small. */
function keyOf({ memory, threads, deaths }: State): string {
  const numbers = [...memory, deaths];
  for (const { at, registers, buffer } of threads) {
    numbers.push(at, ...registers, buffer.length);
    for (const [to, value] of buffer) numbers.push(to, value);
  }
  return String.fromCharCode(...numbers);
}

/** A machine in which nobody can take another step has ended, if only deaths could still come. */
function successors(machine: Machine, state: State): State[] {
  const moves = machine.threads.flatMap((thread, index) => movesOf(thread, state, index));
  if (moves.length === 0 || state.deaths === 0) return moves;
  return [...moves, ...machine.threads.map((thread, index) => died(thread, state, index))];
}

function movesOf(thread: Thread, state: State, index: number): State[] {
  const { buffer } = state.threads[index]!;
  const moves: State[] = [];
  if (buffer.length > 0) {
    const [to, value] = buffer[0]!;
    moves.push(replaced(state, index, { buffer: buffer.slice(1) },
      state.memory.map((old, at) => (at === to ? value : old))));
  }
  const stepped = step(thread, state, index);
  return stepped === null ? moves : [...moves, settled(thread, stepped, index)];
}

/** Labels and jumps concern nobody else: they are taken at once, which saves most of the states. */
function settled(thread: Thread, state: State, index: number): State {
  const { registers } = state.threads[index]!;
  let { at } = state.threads[index]!;
  for (;;) {
    const what = thread.steps[at];
    if (what?.op === 'label') at += 1;
    else if (what?.op === 'go') at = what.when([...registers]) ? place(thread, what.to) : at + 1;
    else return replaced(state, index, { at });
  }
}

function step(thread: Thread, state: State, index: number): State | null {
  const { at, buffer, registers } = state.threads[index]!;
  const what = thread.steps[at];
  if (what === undefined) return null;
  const r = [...registers];
  switch (what.op) {
    case 'label':
    case 'go':
      throw new Error('these are passed over');
    case 'compute':
      what.run(r);
      return replaced(state, index, { at: at + 1, registers: r });
    case 'store':
      return replaced(state, index, { at: at + 1, buffer: [...buffer, [what.to, what.value(r)]] });
    case 'load': {
      const own = buffer.filter(([to]) => to === what.from).at(-1);
      r[what.into] = own === undefined ? state.memory[what.from]! : own[1];
      return replaced(state, index, { at: at + 1, registers: r });
    }
    case 'fence': return buffer.length > 0 ? null : replaced(state, index, { at: at + 1 });
    case 'exchange': {
      if (buffer.length > 0) return null;
      const old = state.memory[what.at]!;
      const value = what.value(r, old);
      r[what.into] = old;
      return replaced(state, index, { at: at + 1, registers: r },
        state.memory.map((each, where) => (where === what.at ? value : each)));
    }
    case 'sleep':
      if (buffer.length > 0 || state.memory[what.on] === 0) return null;
      return replaced(state, index, { at: at + 1 },
        state.memory.map((each, where) => (where === what.on ? 0 : each)));
  }
}

function died(thread: Thread, state: State, index: number): State {
  const { registers } = state.threads[index]!;
  const left = registers.map((value, number) => (thread.lasting.includes(number) ? value : 0));
  const heir = replaced(state, index, { at: place(thread, 'rescue'), registers: left });
  return { ...settled(thread, heir, index), deaths: state.deaths - 1 };
}

function replaced(
  state: State, index: number, change: Partial<ThreadState>, memory = state.memory,
): State {
  const threads = state.threads.map((each, i) => (i === index ? { ...each, ...change } : each));
  return { memory, threads, deaths: state.deaths };
}

function place(thread: Thread, name: string): number {
  const at = thread.steps.findIndex((each) => each.op === 'label' && each.name === name);
  if (at < 0) throw new Error(`no label ${name}`);
  return at;
}
