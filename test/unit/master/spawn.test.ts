/**
 * Goal: each worker is bound to the cores that worker_cpu_affinity means for it.
 * Method: settings and a machine go in, cores come out.
 */
import t from 'tap';
import { affinityOf } from '../../../src/master/spawn.js';

t.test('off: no binding', async (t) => {
  t.equal(affinityOf('off', 0, [0, 1]), null);
});

t.test('auto: the next allowed core, round and round', async (t) => {
  t.same([0, 1, 2, 3].map((number) => affinityOf('auto', number, [2, 5, 7])), [[2], [5], [7], [2]]);
});

t.test('a list: its entries in turn', async (t) => {
  t.same([0, 1, 2].map((number) => affinityOf([[0, 1], [3]], number, [0])), [[0, 1], [3], [0, 1]]);
});

t.test('the allowed cores come from the kernel', async (t) => {
  const cores = affinityOf('auto', 0);
  t.equal(cores?.length, 1);
  t.ok(Number.isInteger(cores?.[0]));
});
