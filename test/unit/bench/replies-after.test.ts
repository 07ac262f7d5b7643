/** Goal: of the clients' samples, what belongs to a kill is told apart from what came before and after. */
import t from 'tap';
import { repliesAfter } from '../../../bench/crash/measure.js';

/** Batches as [sent, answered] of sessions 0, 1, 2 …, in the order in which they were answered. */
function samplesOf(batches: readonly (readonly [sent: number, answered: number])[]) {
  return {
    sentUs: Float64Array.from(batches, ([sent]) => sent),
    latencyUs: Uint32Array.from(batches, ([sent, answered]) => answered - sent),
    session: Uint32Array.from(batches, (_, session) => session),
    sessions: batches.length,
    longestUs: 10_000,
  };
}

t.test('from the kill to the first and the last reply of those that waited', (t) => {
  const samples = samplesOf([
    [900, 1100], // on its way when the worker died
    [950, 2500],
    [1900, 4000],
    [2600, 9000], // written when the lane had another owner
  ]);
  const claim = { epoch: 2, ownerPid: 1, claimedUs: 2000, servedUs: 2400, wholeUs: 2600 };
  t.same(repliesAfter(samples, { killedUs: 1000, claim }),
    { firstUs: 1500, lastUs: 3000, waiting: 2 });
  t.end();
});
