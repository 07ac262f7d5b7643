/**
 * Goal: a lane that takes no turn for three thirds of the timeout hangs, said once; whatever moves,
 *   is new or is not served does not.
 * Method: turns in a map; the test says when a third is over.
 */
import t from 'tap';
import { HangWatch, type ServedLane } from '../../../src/master/hang-watch.js';

function begin() {
  const turns = new Map<number, number>();
  const rung: number[] = [];
  const hung: number[] = [];
  let served: ServedLane[] = [{ lane: 0, worker: 100 }, { lane: 1, worker: 101 }];
  const watch = new HangWatch({
    served: () => served,
    turns: (lane) => turns.get(lane) ?? 0,
    ring: (lane) => rung.push(lane),
    hangs: ({ worker }) => hung.push(worker),
  });
  const take = (lane: number): void => { turns.set(lane, (turns.get(lane) ?? 0) + 1); };
  const serve = (...lanes: ServedLane[]): void => { served = lanes; };
  return { watch, rung, hung, take, serve };
}

t.test('who takes no turn hangs, who takes some does not', async (t) => {
  const { watch, rung, hung, take } = begin();
  for (let third = 0; third < 3; third++) {
    watch.look();
    take(1);
    t.same(hung, []);
  }
  t.same(rung, [0, 1, 0, 1, 0, 1], 'everybody is asked each time');
  watch.look();
  t.same(hung, [100]);
  for (let third = 0; third < 5; third++) {
    take(1);
    watch.look();
  }
  t.same(hung, [100], 'said once, for its end may take a while');
});

t.test('a turn in the last third is enough', async (t) => {
  const { watch, hung, take } = begin();
  for (let third = 0; third < 12; third++) {
    if (third % 3 === 2) [0, 1].forEach(take);
    watch.look();
  }
  t.same(hung, []);
});

t.test('a new worker begins anew, a lane that is not served does not count', async (t) => {
  const { watch, hung, serve } = begin();
  for (const worker of [100, 100, 100, 200, 200, 200]) {
    serve({ lane: 0, worker });
    watch.look();
  }
  t.same(hung, []);
  serve();
  watch.look();
  serve({ lane: 0, worker: 200 });
  for (let third = 0; third < 3; third++) watch.look();
  t.same(hung, [], 'what it missed before its lane was away is forgotten');
  watch.look();
  t.same(hung, [200]);
});
