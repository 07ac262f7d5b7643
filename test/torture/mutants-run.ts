/**
 * npm run mutants -- [--kills N] [--seed N] [--only TEXT]: breaks one rule of the commit protocol at
 * a time in native/ (mutants.ts) and tortures the result until that is noticed, with at most N kills
 * in large tables and N in tiny ones. What is not broken goes first, and must not be noticed. Ends
 * with 1 if a mutant survives.
 */
import { parseArgs } from 'node:util';
import { CppProgram } from '../support/cpp-program.js';
import type { Scope } from '../support/scope.js';
import { TINY, TINY_PLAN, tortureBare, type BareOptions } from './bare.js';
import { buildBareLane, changedTree, type Change } from './bare-build.js';
import type { KillKind } from './kills.js';
import { mutants, type Judge, type Mutant } from './mutants.js';
import { Tally } from './tally.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
const WORDS_MAX = 160;
const KINDS: readonly KillKind[] = ['labelled', 'stepped', 'chained'];
/** Who is not answered for so long never will be. */
const STUCK_MS = 15_000;
const PATIENCE_MS = 300_000;
const SIZES: readonly Pick<BareOptions, 'sizes' | 'plan'>[] = [
  {}, { sizes: TINY, plan: TINY_PLAN },
];
const JUDGES: { readonly [name in Judge]: { sources: string[]; sections: string[] } } = {
  turns: {
    sources: ['native/chain.cc', 'native/unit-pool.cc', 'native/segment.cc'],
    sections: ['roll-backs', 'killed'],
  },
  journal: { sources: [], sections: ['turns', 'deaths'] },
};
const UNBROKEN: Mutant = { name: 'nothing', rule: 'none', changes: [] };

interface Catch {
  readonly after: number; // kills
  readonly how: string;
}

/** With large tables, then with tiny ones; null: it survived both. */
async function hunt(scope: Scope, mutant: Mutant): Promise<Catch | null> {
  const { name, at = [], kinds = KINDS, kills = Number(values.kills), changes } = mutant;
  const program = await buildBareLane(scope, changes);
  const tally = new Tally();
  for (const { plan, ...sizes } of SIZES) {
    const verdict = await tortureBare(scope, {
      name, program, seed: Number(values.seed), kills, kinds,
      places: at, patienceMs: PATIENCE_MS, plan: { ...plan, patienceMs: STUCK_MS }, ...sizes,
    }, tally).catch((error: Error) => ({ trouble: [`${name}: ${error.message}`] }));
    const [first] = verdict.trouble;
    if (first !== undefined) return { after: tally.kills, how: first };
  }
  return null;
}

/** By a model test. */
function judge(scope: Scope, name: Judge, changes: readonly Change[]): Catch | null {
  const { sources, sections } = JUDGES[name];
  const tree = changedTree(scope, changes);
  const program = CppProgram.compile(scope, `test/native/${name}.cc`, sources, { tree });
  for (const section of sections) {
    const { code, err } = program.run([section, values.seed]);
    if (code !== 0) return { after: 0, how: `: test/model/${name}, ${section}: ${err}` };
  }
  return null;
}

async function tryOut(mutant: Mutant): Promise<Catch | null> {
  const teardowns: (() => unknown)[] = [];
  const scope: Scope = { teardown: (run) => { teardowns.unshift(run); } };
  try {
    return mutant.judge === undefined ? await hunt(scope, mutant)
      : judge(scope, mutant.judge, mutant.changes);
  } finally {
    for (const run of teardowns) await run();
  }
}

let failures = 0;
for (const mutant of [UNBROKEN, ...mutants.filter(({ name }) => name.includes(values.only))]) {
  const startedMs = performance.now();
  const caught = await tryOut(mutant);
  if ((caught === null) !== (mutant === UNBROKEN)) failures += 1;
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  const how = caught?.how.replaceAll('\n', ' ') ?? '';
  process.stdout.write(caught === null ? `survived  ${mutant.name}, ${seconds} s: ${mutant.rule}\n`
    : `caught    ${mutant.name}, after ${caught.after} kills, ${seconds} s: `
      + `${how.slice(how.indexOf(': ') + 2).slice(0, WORDS_MAX)}\n`);
}
process.exit(failures === 0 ? 0 : 1);
