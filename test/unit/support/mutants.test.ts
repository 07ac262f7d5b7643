/**
 * Every mutant of npm run mutants still has the text that it changes, once, and places that exist.
 */
import t from 'tap';
import { Faults } from '../../support/faults.js';
import { changedTree } from '../../torture/bare-build.js';
import { mutants } from '../../torture/mutants.js';

for (const { name, at = [], judge, changes } of mutants) {
  t.test(name, async (t) => {
    changedTree(t, changes);
    t.ok(changes.length > 0);
    t.same(at.filter((place) => !Faults.names.includes(place)), []);
    t.ok(at.length > 0 || judge !== undefined, 'somebody is to notice it');
  });
}
t.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
