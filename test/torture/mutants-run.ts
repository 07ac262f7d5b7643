/**
 * npm run mutants -- [--kills N] [--seed N] [--only TEXT]: builds native/ with one rule broken at a
 * time (mutants.ts) and tortures it until that is noticed. Ends with 1 if a mutant survives.
 */
import { parseArgs } from 'node:util';
import type { Scope } from '../support/scope.js';
import { TINY, TINY_PLAN, tortureBare } from './bare.js';
import { buildBareLane } from './bare-build.js';
import { mutants, type Mutant } from './mutants.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1500' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
  },
});
const WORDS_MAX = 160;

interface Catch {
  readonly after: number; // kills
  readonly how: string;
}

/** With large tables, then with tiny ones; null: it survived both. */
async function hunt(mutant: Mutant): Promise<Catch | null> {
  const teardowns: (() => unknown)[] = [];
  const scope: Scope = { teardown: (run) => { teardowns.unshift(run); } };
  try {
    const program = await buildBareLane(scope, mutant.changes);
    let kills = 0;
    for (const size of [{}, { sizes: TINY, plan: TINY_PLAN }]) {
      const verdict = await tortureBare(scope, {
        name: mutant.name, program, seed: Number(values.seed), kills: Number(values.kills), ...size,
      }).catch((error: Error) => ({ trouble: [error.message], tally: { kills: 0 } }));
      kills += verdict.tally.kills;
      const [first] = verdict.trouble;
      if (first !== undefined) return { after: kills, how: first.replaceAll('\n', ' ') };
    }
    return null;
  } finally {
    for (const run of teardowns) await run();
  }
}

let survivors = 0;
for (const mutant of mutants.filter(({ name }) => name.includes(values.only))) {
  const caught = await hunt(mutant);
  if (caught === null) survivors += 1;
  process.stdout.write(caught === null ? `SURVIVED  ${mutant.name}: ${mutant.rule}\n`
    : `caught    ${mutant.name}, after ${caught.after} kills: `
      + `${caught.how.slice(caught.how.indexOf(': ') + 2).slice(0, WORDS_MAX)}\n`);
}
process.exit(survivors === 0 ? 0 : 1);
