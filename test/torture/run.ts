/**
 * npm run torture -- [--kills N] [--seed N] [--whole PERCENT] [--kinds random,stepped…]
 *                      [--places Sealed,Undone…]
 *
 * Kills owners of lanes until it has been done N times, and says what that did to their clients:
 * nothing, or exactly what. Two lanes without JavaScript, one with large tables and one with tiny
 * ones, take most of it, for they take thousands in a minute; whole Batons take the rest, and hot
 * restarts with it. BATON_SEED or --seed repeats the plan, not the moment.
 */
import { parseArgs } from 'node:util';
import type { Scope } from '../support/scope.js';
import { TINY, TINY_PLAN, tortureBare } from './bare.js';
import { buildBareLane } from './bare-build.js';
import type { KillKind } from './kills.js';
import { Tally, type Verdict } from './tally.js';
import { Torture } from './torture.js';

const PROGRESS_EVERY_MS = 15_000;
const WHOLE_BATONS = 2;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    seed: { type: 'string', default: process.env.BATON_SEED ?? String(Date.now() % 2 ** 31) },
    whole: { type: 'string', default: '5' },
    kinds: { type: 'string', default: '' },
    places: { type: 'string', default: '' },
  },
});
const kills = Number(values.kills);
const seed = Number(values.seed);
const wholeKills = Math.ceil(kills * Number(values.whole) / 100);
const bareKills = kills - wholeKills;
const kinds = values.kinds === '' ? [] : values.kinds.split(',') as KillKind[];
const places = values.places === '' ? [] : values.places.split(','); // of lanes without JavaScript
const teardowns: (() => unknown)[] = [];
const scope: Scope = { teardown: (run) => { teardowns.unshift(run); } };
const tallies: Tally[] = [];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

async function bare(): Promise<Verdict[]> {
  if (bareKills < 2) return [];
  const program = await buildBareLane(scope);
  const half = Math.ceil(bareKills / 2);
  const one = async (name: string, more: object): Promise<Verdict> => {
    const tally = new Tally();
    tallies.push(tally);
    return tortureBare(scope, { name, program, seed, kinds, places, kills: half, ...more }, tally);
  };
  return Promise.all([
    one('large tables', {}), one('tiny tables', { sizes: TINY, plan: TINY_PLAN }),
  ]);
}

async function whole(): Promise<Verdict[]> {
  if (wholeKills === 0) return [];
  const tortures = await Promise.all(Array.from({ length: WHOLE_BATONS }, (_, i) =>
    Torture.start(scope, { name: `Baton ${i}`, seed: seed + i, kinds })));
  tallies.push(...tortures.map(({ tally }) => tally));
  const isEnough = (): boolean =>
    tortures.reduce((sum, torture) => sum + torture.kills, 0) >= wholeKills;
  return Promise.all(tortures.map(async (torture) => {
    while (!isEnough() && !torture.isBroken) await torture.killOnce();
    return torture.finish();
  }));
}

function sum(): Tally {
  const tally = new Tally();
  for (const each of tallies) tally.add(each);
  return tally;
}

say(`seed ${seed}`);
const startedMs = performance.now();
const seconds = (): number => Math.round((performance.now() - startedMs) / 1000);
const progress = setInterval(() => say(`${sum().kills} kills after ${seconds()} s`), PROGRESS_EVERY_MS);
const verdicts = (await Promise.all([bare(), whole()])).flat();
clearInterval(progress);
const total = (count: (verdict: Verdict) => number): number =>
  verdicts.reduce((all, verdict) => all + count(verdict), 0);
const trouble = verdicts.flatMap((verdict) => verdict.trouble);
say(`seed ${seed}, ${seconds()} s`);
say(sum().describe());
say(`${total(({ replies }) => replies)} replies verified; unix sockets inside of send: `
  + `${total(({ cuts }) => cuts)} clients closed; errors for lost servers: `
  + `${total(({ pardoned }) => pardoned)}`);
say(trouble.length === 0 ? '0 closed, 0 lost, 0 doubled, 0 out of order, 0 leaked' : 'TROUBLE:');
for (const line of trouble) say(line);
for (const run of teardowns) await run();
process.exit(trouble.length === 0 ? 0 : 1);
