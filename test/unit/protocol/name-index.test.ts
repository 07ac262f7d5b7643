/** Goal: exactly the names that were put in are found, in any case, anywhere in a buffer. */
import fc from 'fast-check';
import t from 'tap';
import { NameIndex } from '../../../src/protocol/name-index.js';

void t.test('random names against a Map', async (t) => {
  const unit = fc.constantFrom('a', 'b', 'z', '0', '|', '-');
  const name = fc.string({ unit, minLength: 1, maxLength: 6 });
  const names = fc.uniqueArray(name, { minLength: 1, maxLength: 60 });
  fc.assert(fc.property(names, fc.array(name), fc.nat(5), (names, others, start) => {
    const index = new NameIndex(names);
    const numbers = new Map(names.map((name, n) => [name, n]));
    for (const word of [...names, ...others]) {
      const bytes = Buffer.from('.'.repeat(start) + word.toUpperCase() + '..');
      const expected = numbers.get(word) ?? -1;
      if (index.find(bytes, start, word.length) !== expected) return false;
    }
    return index.find(Buffer.alloc(8), 0, 0) === -1;
  }));
  t.throws(() => new NameIndex(['a', 'b', 'a']), /different/);
  t.equal(new NameIndex([]).find(Buffer.from('a'), 0, 1), -1);
});
