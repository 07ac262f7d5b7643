/**
 * The ways in which a torture kills workers, and where.
 *
 *   random     SIGKILL from outside, at any moment
 *   labelled   at a FAULT point of native/fault.h, the nth time that a worker comes there
 *   stepped    the same, but so many single instructions behind it: between two stores of a commit,
 *              in the middle of a copy
 *   restart    of anybody who is there in the middle of a hot restart (restarts.ts)
 *   chained    the one who comes to help dies as well, at a point of his own; up to three times
 */
import { FaultAction, Faults, type Charge } from '../support/faults.js';
import type { Dice } from '../support/seed.js';

export type KillKind = 'random' | 'labelled' | 'stepped' | 'chained' | 'restart';

/** What brings workers to a point, beside the load. */
export type Stimulus = 'none' | 'death' | 'connect' | 'reload';

/** Points that only the next owner of a lane comes to. */
const OF_HEIRS = ['Claimed', 'UndoBegun', 'ImageRestored', 'Undone', 'Recounted', 'ReceivedKept',
  'AcceptedAdopted', 'SessionsRepaired', 'LinksRepaired', 'RepairCommitted', 'KeeperNamed'];
/** Points that a worker passes as it connects to a server. */
const OF_CONNECTS = ['SocketMade', 'ConnectStarted', 'ConnectNoted', 'Greeted'];
const OF_GIVING = ['Frozen'];
/** Points that are passed so often that the first time is hardly ever the most interesting. */
const AFTER_MAX = 30;
const AFTER_OF_HEIRS: { readonly [name: string]: number } = { ImageRestored: 6 };
const STEPS_MAX = 3000;
const CHAIN_MAX = 3;

export interface Kill {
  readonly kind: KillKind;
  readonly charges: readonly Charge[]; // none: random
  readonly stimulus: Stimulus;
}

const WEIGHTS: readonly (readonly [KillKind, number])[] = [
  ['random', 30], ['labelled', 20], ['stepped', 33], ['chained', 15], ['restart', 2],
];

export class KillPlanner {
  #next = 0; // labels are gone through in turn, so that none is left out

  constructor(private readonly dice: Dice, private readonly kinds: readonly KillKind[] = []) {}

  plan(): Kill {
    const kind = this.#kind();
    if (kind === 'random' || kind === 'restart') return { kind, charges: [], stimulus: 'none' };
    if (kind === 'chained') return this.#chain();
    const name = Faults.names[this.#next++ % Faults.names.length]!;
    return { kind, charges: [this.#charge(name, kind === 'stepped')], stimulus: stimulusOf(name) };
  }

  #kind(): KillKind {
    const known = WEIGHTS.filter(([kind]) => this.kinds.length === 0 || this.kinds.includes(kind));
    let left = this.dice.below(known.reduce((sum, [, weight]) => sum + weight, 0));
    return known.find(([, weight]) => (left -= weight) < 0)![0];
  }

  #chain(): Kill {
    const length = this.dice.between(2, CHAIN_MAX);
    const first = this.dice.pick(Faults.names.filter((name) => stimulusOf(name) === 'none'));
    const names = [first, ...Array.from({ length: length - 1 }, () => this.dice.pick(OF_HEIRS))];
    const charges = names.map((name) => this.#charge(name, this.dice.isHead()));
    return { kind: 'chained', charges, stimulus: 'none' };
  }

  #charge(name: string, isStepped: boolean): Charge {
    const most = OF_HEIRS.includes(name) ? AFTER_OF_HEIRS[name] ?? 1
      : stimulusOf(name) === 'none' ? AFTER_MAX : 1;
    const after = this.dice.between(1, most);
    if (!isStepped) return { name, after };
    return { name, after, action: FaultAction.Trap, steps: this.#steps() };
  }

  /** As many short ways as long ones: the next store is near. */
  #steps(): number {
    return Math.floor(Math.exp(this.dice.below(1 << 20) / (1 << 20) * Math.log(STEPS_MAX))) + 1;
  }
}

export function stimulusOf(name: string): Stimulus {
  if (OF_HEIRS.includes(name)) return 'death';
  if (OF_CONNECTS.includes(name)) return 'connect';
  return OF_GIVING.includes(name) ? 'reload' : 'none';
}
