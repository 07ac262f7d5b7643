/**
 * The reader of TAP decides whether a test run is green, so it must not be fooled: by output that
 * ends early, by text that looks like a test point, by a plan that nobody fulfilled.
 */
import t from 'tap';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

interface Tap {
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly name: string; readonly detail: readonly string[] }[];
}

let folder = dirname(fileURLToPath(import.meta.url));
while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder);
const script = pathToFileURL(join(folder, 'scripts/tap-points.mjs')).href;
const { readTap } = await import(script) as { readTap: (text: string) => Tap };

const read = (...lines: string[]) => readTap(`${['TAP version 14', ...lines].join('\n')}\n`);
const names = (tap: Tap) => tap.failures.map(({ name }) => name);

const NESTED = [
  '# Subtest: outer',
  '    ok 1 - first',
  '    # Subtest: inner',
  '        ok 1 - second',
  '        1..1',
  '    ok 2 - inner # time=1ms',
  '    ',
  '    1..2',
  'ok 1 - outer # time=2ms',
  '',
];

t.test('assertions are counted, subtests are not', (t) => {
  const tap = read(...NESTED, 'ok 2 - third', '1..2');
  t.match(tap, { passed: 3, skipped: 0, failures: [] });
  t.end();
});

t.test('a failed assertion is told once, with its path and its diagnostics', (t) => {
  const tap = read(
    '# Subtest: outer', '    not ok 1 - first', '      ---', '      diff: |',
    '        not ok 7 - quoted', '        1..9', '      ...', '    1..1',
    'not ok 1 - outer # time=2ms', '  ---', '  at: here', '  ...', '1..1',
  );
  t.same(names(tap), ['outer > first']);
  t.same(tap.failures[0]?.detail, ['diff: |', '  not ok 7 - quoted', '  1..9']);
  t.end();
});

t.test('what does not add up is a failure', (t) => {
  t.equal(names(read()).length, 1, 'nothing at all');
  t.equal(names(read('ok 1 - one')).length, 1, 'no plan');
  t.equal(names(read('ok 1 - one', '1..2')).length, 1, 'a point too few');
  t.equal(names(read('ok 1 - one', 'ok 2 - two', '1..1')).length, 1, 'a point too many');
  t.match(names(read(...NESTED.slice(0, 4))), [/inner/, /outer/, /no plan/], 'torn');
  t.match(names(read('ok 1 - one', '  ---', '  at: here')), [/diagnostics/, /no plan/]);
  t.same(names(read('Bail out! no server')), ['Bail out! no server'], 'a bail-out');
  t.same(names(read('# Subtest: s', '    ok 1 - a', '    1..1', 'not ok 1 - s', '1..1')), ['s'],
    'a subtest that failed as a whole, as after a timeout');
  t.same(names(read('# Subtest: s', '    ok 1 - a', '    1..2', 'ok 1 - s', '1..1')).length, 1,
    'a plan inside a subtest');
  t.end();
});

t.test('a subtest without assertions counts as one; a file without any fails', (t) => {
  const empty = ['# Subtest: throws nothing', '    1..0', 'ok 1 - throws nothing', '1..1'];
  t.match(read(...empty), { passed: 1, skipped: 0, failures: [] });
  t.same(names(read('1..0')), ['no test points']);
  t.end();
});

t.test('a skipped point has not passed', (t) => {
  t.match(read('ok 1 - one # SKIP no server', 'ok 2 - two # todo', '1..2'),
    { passed: 0, skipped: 2, failures: [] });
  t.match(read('1..0 # SKIP nothing here'), { passed: 0, skipped: 1, failures: [] });
  t.end();
});

t.test('printed text is not a test point', (t) => {
  const tap = read('okay', '        ok 1 - deep in somebody\'s output', 'ok 1 - one', '1..1');
  t.match(tap, { passed: 1, failures: [] });
  t.end();
});
