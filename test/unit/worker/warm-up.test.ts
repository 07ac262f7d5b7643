/**
 * Goal: warming up reaches no lane, and what is decided then is what a worker decides.
 * Method: every call of C++ that steers a lane fails while it runs; hashing a key may be asked for.
 */
import t from 'tap';
import { native } from '../../../src/native/binding.js';
import { warmUp } from '../../../src/worker/warm-up.js';

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
