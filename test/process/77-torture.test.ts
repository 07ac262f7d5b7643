/**
 * Goal: a turn is a transaction under kill -9 at any instruction: random moments, labelled steps,
 *   single instructions behind them, the rescuer's death and his rescuer's; with large tables and
 *   with tiny ones, where every queue runs full. 0 closed, lost, doubled, out of order or leaked.
 * Method: a lane without JavaScript, whose owners die by the hundred (test/torture/bare.ts); a whole
 *   Baton for some. npm run torture does the same by the thousand, npm run mutants shows that it
 *   would be noticed.
 */
import t from 'tap';
import { tortureBare, TINY, TINY_PLAN, type BareOptions } from '../torture/bare.js';
import { buildBareLane } from '../torture/bare-build.js';
import { Torture } from '../torture/torture.js';
import { dice } from '../support/seed.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 2;

const KILLS = 200;
const WHOLE_KILLS = 12;
const RESTARTS = 2;
const PATIENCE_MS = 120_000;

const program = await buildBareLane(t);
const sizes: readonly (readonly [string, Partial<BareOptions>])[] = [
  ['large tables', {}], ['tiny tables', { sizes: TINY, plan: TINY_PLAN }],
];

for (const [name, more] of sizes) {
  t.test(name, { buffered: true }, async (t) => {
    const { seed } = dice(t);
    const verdict = await tortureBare(t, {
      name, program, seed, kills: KILLS, patienceMs: PATIENCE_MS, ...more,
    });
    t.comment(verdict.tally.describe());
    t.same(verdict.trouble, []);
    t.ok(verdict.tally.kills >= KILLS, `${verdict.tally.kills} kills`);
    t.ok(verdict.replies > 1000, `${verdict.replies} replies were as they must be`);
  });
}

t.test('a whole Baton', { buffered: true }, async (t) => {
  const torture = await Torture.start(t, {
    name: 'whole', seed: dice(t).seed, kinds: ['random', 'labelled', 'stepped', 'chained'],
  });
  while (torture.kills < WHOLE_KILLS && !torture.isBroken) await torture.killOnce();
  for (let i = 0; i < RESTARTS && !torture.isBroken; i += 1) await torture.restartOnce();
  const verdict = await torture.finish();
  t.comment(torture.tally.describe());
  t.same(verdict.trouble, []);
  t.ok(verdict.replies > 1000, `${verdict.replies} replies were as they must be`);
});
