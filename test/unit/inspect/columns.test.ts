/** Goal: columns line up whatever they hold, and amounts are shown in the unit that people read. */
import t from 'tap';
import { aligned, bytesText, listed } from '../../../src/inspect/columns.js';

t.test('numbers to the right, words to the left, nothing behind the last one', async (t) => {
  t.same(aligned(['lane', 'is', 'bytes', 'note'], [
    [1, 'serving', '8.0 KiB', ''], [12, 'dead', '256.0 KiB', 'late'], [null, '', '0 bytes', ''],
  ]), [
    '  lane  is           bytes  note',
    '     1  serving    8.0 KiB',
    '    12  dead     256.0 KiB  late',
    '     -             0 bytes',
  ]);
  t.same(aligned(['a', 'b'], []), ['  a  b']);
  t.same(listed([['name', 'x'], ['a', 1]]), ['  name  x', '  a     1']);
});

t.test('amounts', async (t) => {
  t.same([0, 1023, 1024, 1536 * 1024, 3 * 1024 ** 3, 5 * 1024 ** 4].map(bytesText),
    ['0 bytes', '1023 bytes', '1.0 KiB', '1.5 MiB', '3.0 GiB', '5120.0 GiB']);
});
