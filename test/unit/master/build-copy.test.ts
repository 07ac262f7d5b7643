/**
 * Goal: a worker's program is whole in its copy and readable by everybody; the copy of a dead
 *   master goes, that of a living one and what is not ours stays; without a copy there is a warning.
 */
import t, { type Test } from 'tap';
import { execFileSync } from 'node:child_process';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, statSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { BuildCopy } from '../../../src/master/build-copy.js';
import { native } from '../../../src/native/binding.js';
import { scratch } from '../../support/scratch.js';

function make(t: Test, folder: string): { copy: BuildCopy; warnings: string[] } {
  const warnings: string[] = [];
  const copy = BuildCopy.make((line) => warnings.push(line), folder);
  t.teardown(() => copy.close());
  return { copy, warnings };
}

t.test('a copy works by itself', async (t) => {
  const folder = scratch(t);
  const { copy, warnings } = make(t, folder);
  t.same(warnings, []);
  t.match(copy.workerProgram, new RegExp(`^${folder}/baton-build-${process.pid}-\\w{6}/dist/`));
  const source = join(copy.workerProgram, '../../base/log.js');
  const addon = join(copy.workerProgram, '../../native/binding.js');
  const program = `await import(${JSON.stringify(source)});
    const { addonPath } = await import(${JSON.stringify(addon)});
    console.log(addonPath);`;
  const said = execFileSync(copy.execPath, ['--input-type=module', '-e', program], {
    cwd: '/', encoding: 'utf8', env: { ...process.env, BATON_ADDON: copy.addon }, stdio: 'pipe',
  });
  t.equal(said, `${copy.addon}\n`, 'Node, what npm installed, and the addon');
});

t.test('everybody may read it, only its owner may change it', async (t) => {
  const mask = process.umask(0o077);
  const { copy } = make(t, scratch(t));
  process.umask(mask);
  let path = copy.workerProgram;
  t.equal(statSync(path).mode & 0o777, 0o644);
  t.equal(statSync(copy.addon).mode & 0o777, 0o644);
  while (!/baton-build-\d+-\w+$/.test(path)) {
    path = join(path, '..');
    t.equal(statSync(path).mode & 0o777, 0o755, path);
  }
});

t.test('it goes with its master, or when the next one starts', async (t) => {
  const folder = scratch(t);
  const { copy } = make(t, folder);
  copy.close();
  t.same(readdirSync(folder), []);
  const dead = mkdtempSync(join(folder, 'baton-build-2000000000-'));
  writeFileSync(join(dead, 'file'), '');
  make(t, folder);
  t.notOk(existsSync(dead));
});

t.test('what is in use stays, whatever pid its name says', async (t) => {
  const folder = scratch(t);
  const inUse = mkdtempSync(join(folder, 'baton-build-2000000000-'));
  const lock = native.processLock(join(inUse, 'lock'));
  t.teardown(() => native.socketClose(lock));
  const alive = mkdtempSync(join(folder, 'baton-build-1-'));
  const elsewhere = join(folder, 'elsewhere');
  mkdirSync(elsewhere);
  symlinkSync(elsewhere, join(folder, 'baton-build-2000000001-link'));
  make(t, folder);
  t.ok(existsSync(inUse), 'locked: perhaps by a master in another container');
  t.ok(existsSync(alive), 'of a process that runs');
  t.same(readdirSync(elsewhere), [], 'links are not followed');
});

t.test('where it cannot be made, the installed files are used', async (t) => {
  const folder = join(scratch(t), 'missing');
  const { copy, warnings } = make(t, folder);
  t.match(warnings, [/^no private copy of this build in .*missing: no such file or directory; /]);
  t.ok(existsSync(copy.workerProgram));
  t.ok(existsSync(copy.addon));
  t.notMatch(copy.workerProgram, /baton-build/);
});
