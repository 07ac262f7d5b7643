/**
 * What is generated from layout.ts and codes.ts is committed; both must say the same, or C++ and
 * TypeScript would read different columns.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { outputs } from '../../../src/shm/generate.js';
import { repositoryRoot } from '../../support/cpp-program.js';

t.same(Object.keys(outputs), ['src/tables/columns.gen.ts', 'native/layout.gen.h']);

for (const [path, text] of Object.entries(outputs)) {
  t.test(`${path} is what would be written now`, (t) => {
    t.equal(readFileSync(join(repositoryRoot, path), 'utf8'), text());
    t.end();
  });
}
