/**
 * Goal: a program is started again by the names that were typed: a link that leads elsewhere by
 *   then is followed, whether it is in the directory, the script's path or Node's.
 */
import t, { type Test } from 'tap';
import { spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { directoryOf, executableOf, scriptOf, type StartFacts, type TypedCommand } from
  '../../../src/master/typed-command.js';
import { scratch } from '../../support/scratch.js';

const MODULE = fileURLToPath(new URL('../../../src/master/typed-command.js', import.meta.url));

/** Two releases of a program that prints how it would be started again, and a link to the first. */
function install(t: Test): string {
  const root = realpathSync(scratch(t));
  for (const release of ['release-1', 'release-2']) {
    mkdirSync(join(root, release, 'bin'), { recursive: true });
    writeFileSync(join(root, release, 'bin/program.mjs'),
      `import { howToExec } from ${JSON.stringify(MODULE)};\n`
      + 'console.log(JSON.stringify(howToExec()));\n');
  }
  symlinkSync('release-1', join(root, 'current'));
  symlinkSync(process.execPath, join(root, 'mynode'));
  return root;
}

function commandOf(command: string, args: string[], options: SpawnSyncOptions): TypedCommand {
  const { stdout } = spawnSync(command, args, options);
  return JSON.parse(stdout.toString()) as TypedCommand;
}

t.test('an absolute path keeps its link, and arguments their order', async (t) => {
  const root = install(t);
  const script = join(root, 'current/bin/program.mjs');
  t.same(commandOf(process.execPath, ['--no-warnings', script, '-c', 'x.yml'], { cwd: root }), {
    command: process.execPath, args: ['--no-warnings', script, '-c', 'x.yml'], cwd: root,
    argv0: process.execPath,
  });
});

t.test('a relative path stays one, in the directory as the shell calls it', async (t) => {
  const root = install(t);
  const cwd = join(root, 'current');
  const typed = commandOf(process.execPath, ['bin/program.mjs'],
    { cwd, env: { ...process.env, PWD: cwd } });
  t.equal(typed.cwd, cwd, 'not release-1');
  t.same(typed.args, ['bin/program.mjs']);
  rmSync(join(root, 'current'));
  symlinkSync('release-2', join(root, 'current'));
  const again = commandOf(typed.command, [...typed.args], { cwd: typed.cwd, argv0: typed.argv0 });
  t.equal(again.cwd, join(root, 'release-2'), 'started again, it is the other release');
});

t.test('a PWD that is not where we are is not believed', async (t) => {
  const root = install(t);
  const typed = commandOf(process.execPath, ['bin/program.mjs'],
    { cwd: join(root, 'release-2'), env: { ...process.env, PWD: join(root, 'release-1') } });
  t.equal(typed.cwd, join(root, 'release-2'));
});

t.test('Node by a name of its own', async (t) => {
  const root = install(t);
  const run = (argv0: string, env: NodeJS.ProcessEnv) => commandOf(process.execPath,
    ['current/bin/program.mjs'], { cwd: root, argv0, env: { ...process.env, ...env } });
  t.equal(run('./mynode', {}).command, join(root, 'mynode'), 'a path, its link kept');
  t.equal(run('mynode', { PATH: `/nowhere:${root}` }).command, join(root, 'mynode'), 'by PATH');
  t.equal(run('mynode', { PATH: '/nowhere' }).command, process.execPath, 'there is none');
  t.equal(run('sh', {}).command, process.execPath, 'what has that name is something else');
  t.equal(run('mynode', { PATH: root }).argv0, 'mynode');
});

t.test('the pure parts', async (t) => {
  const facts: StartFacts = {
    argv0: 'node', execPath: '/usr/bin/node', execArgv: ['--a', '--b'], script: '/srv/bin/x',
    rest: [], commandLine: ['node', '--a', '--b', 'bin/x', '-c', 'y'], physical: '/srv',
    logical: undefined, path: '',
  };
  t.equal(scriptOf(facts), 'bin/x');
  t.equal(scriptOf({ ...facts, commandLine: ['baton: master process'] }), '/srv/bin/x',
    'the title has been changed');
  t.equal(scriptOf({ ...facts, physical: '/elsewhere' }), '/srv/bin/x');
  t.equal(directoryOf(facts), '/srv');
  t.equal(directoryOf({ ...facts, logical: 'relative' }), '/srv');
  t.equal(executableOf('sh', '/', '/bin'), '/bin/sh');
  t.equal(executableOf('./sh', '/bin', ''), '/bin/sh');
  t.equal(executableOf('etc', '/', '/'), null, 'a directory');
});
