/**
 * Goal: a worker that dies is replaced at once; one that keeps dying at its start does not turn
 *   the master into a busy loop.
 * Method: lifetimes go in, pauses come out.
 */
import t from 'tap';
import { BackOff } from '../../../src/master/back-off.js';

function pauses(...livedMs: number[]): number[] {
  const backOff = new BackOff();
  return livedMs.map((lived) => backOff.next(lived));
}

t.test('deaths at the start are slowed down, up to 5 s', async (t) => {
  t.same(pauses(...Array.from({ length: 9 }, () => 0)),
    [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  t.equal(pauses(...Array.from({ length: 5000 }, () => 999)).at(-1), 5000, 'and no further');
});

t.test('a worker that has lived is replaced at once', async (t) => {
  t.same(pauses(1000, 5000, 3_600_000), [0, 0, 0]);
});

t.test('ten seconds of life clear the record, less do not', async (t) => {
  t.same(pauses(0, 0, 0, 9999), [0, 100, 200, 200]);
  t.same(pauses(0, 0, 0, 10_000, 0, 0), [0, 100, 200, 0, 0, 100]);
});

t.test('quick deaths are counted', async (t) => {
  const backOff = new BackOff();
  for (const lived of [0, 2000, 500]) backOff.next(lived);
  t.equal(backOff.quickDeaths, 2);
});
