/**
 * Goal: warming up reaches no lane, and what is decided then is what a worker decides.
 * Method: every call of C++ that steers a lane fails while it runs; hashing a key may be asked for.
 *   A process that is warm decides on a lane of a worker's size while V8 tells what it gives up.
 */
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { native } from '../../../src/native/binding.js';
import { warmUp } from '../../../src/worker/warm-up.js';

const WARM_LANE = fileURLToPath(new URL('./warm-lane.js', import.meta.url));
/** What every plain request passes through. */
const FAST_PATH = ['decide', '#planOf', '#forward', '#isOpen', '#isFull', 'linkOf', 'route', 'walk'];

t.test('what was compiled fits a real lane', async (t) => {
  const told = execFileSync(process.execPath, ['--trace-opt', '--trace-deopt', WARM_LANE],
    { encoding: 'utf8' });
  const [before, after] = told.split('\nwarm\n') as [string, string];
  for (const name of FAST_PATH) {
    t.match(before, optimized(name), `${name} is compiled`);
    t.notMatch(after, new RegExp(`bailout.*deoptimizing .*JSFunction ${name} `), `${name} stays`);
  }
});

/** It is compiled by itself, or as a part of `decide`. */
function optimized(name: string): RegExp {
  return new RegExp(`completed optimizing .*JSFunction (${name}|decide) `);
}

t.test('no call reaches the lane that is to be taken', async (t) => {
  const steering = Object.keys(native).filter((name) => /^(lane|link|session)[A-Z]/.test(name));
  t.ok(steering.includes('laneApply') && steering.includes('linkConnect'), 'there are such calls');
  const refused = steering.map((name) =>
    [name, () => { throw new Error(`${name} was called`); }] as const);
  Object.assign(native, Object.fromEntries(refused));
  const began = performance.now();
  const count = warmUp();
  t.comment(`${count} requests decided in ${(performance.now() - began).toFixed(0)} ms`);
  t.ok(count > 10_000, 'enough for an optimizing compiler');
});

t.test('it leaves nothing behind that keeps a process alive', async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  warmUp();
  t.equal(timers(), before);
});
