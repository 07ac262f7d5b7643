/**
 * Goal: no line of the log is lost by a rotation, an exit or a slow reader, without being counted.
 * Method: real files and a real pipe.
 */
import t from 'tap';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Log } from '../../../src/base/log.js';
import { waitFor } from '../../support/wait-for.js';

const MODULE = fileURLToPath(new URL('../../../src/base/log.js', import.meta.url));

function logIn(directory: string, level = 'info'): { log: Log; file: string } {
  const file = join(directory, 'x.log');
  return { log: new Log({ file, level, role: 'tester' }), file };
}

function linesOf(file: string): { [key: string]: unknown }[] {
  return readFileSync(file, 'utf8').trim().split('\n')
    .map((line) => JSON.parse(line) as { [key: string]: unknown });
}

t.test('a line', async (t) => {
  const { log, file } = logIn(t.testdir());
  log.to.info({ event: 'tested', pool: 'a' }, 'a test');
  const [line] = linesOf(file);
  t.match(line, {
    level: 'info', time: /^\d{4}-\d\d-\d\dT[\d:.]+Z$/, pid: process.pid, role: 'tester',
    event: 'tested', pool: 'a', msg: 'a test',
  });
  t.equal(statSync(file).mode & 0o777, 0o640 & ~process.umask());
});

t.test('levels can be changed', async (t) => {
  const { log, file } = logIn(t.testdir(), 'warn');
  log.to.info({}, 'not this');
  log.setLevel('debug');
  log.to.debug({}, 'this');
  t.same(linesOf(file).map(({ msg }) => msg), ['this']);
});

t.test('rotations lose nothing', async (t) => {
  const { log, file } = logIn(t.testdir());
  const files = [file];
  for (let line = 0; line < 1000; line += 1) {
    if (line % 100 === 50) {
      files.push(`${file}.${line}`);
      renameSync(file, files.at(-1)!);
      log.to.info({ line }, 'before it is opened anew');
      log.reopen();
    } else log.to.info({ line }, 'a line');
  }
  const found = files.flatMap(linesOf).map(({ line }) => Number(line)).sort((a, b) => a - b);
  t.same(found, Array.from({ length: 1000 }, (_, line) => line));
});

t.test('a file that cannot be opened anew leaves the old one in use', async (t) => {
  const { log, file } = logIn(t.testdir());
  log.to.info({}, 'first');
  renameSync(file, `${file}.1`);
  mkdirSync(file);
  t.throws(() => log.reopen(), { code: 'EISDIR' });
  log.to.info({}, 'second');
  t.same(linesOf(`${file}.1`).map(({ msg }) => msg), ['first', 'second']);
});

t.test('a file that cannot be opened at all', async (t) => {
  t.throws(() => logIn(join(t.testdir(), 'nowhere')), { code: 'ENOENT' });
});

t.test('the file can be given to a user', async (t) => {
  const { log, file } = logIn(t.testdir());
  log.giveTo(process.getuid!(), process.getgid!());
  chmodSync(file, 0o600);
  t.equal(statSync(file).uid, process.getuid!());
});

t.test('every line is out when the process ends, however it ends', async (t) => {
  for (const end of ['process.exit(0)', 'process.abort()', 'process.kill(process.pid, "SIGKILL")']) {
    const file = join(t.testdir(), 'x.log');
    spawnSync(process.execPath, ['--input-type=module', '-e', `
      const { Log } = await import(${JSON.stringify(MODULE)});
      const log = new Log({ file: ${JSON.stringify(file)}, level: 'info', role: 'x' });
      for (let i = 0; i < 100; i++) log.to.info({ i }, 'line');
      ${end};`], { cwd: t.testdirName });
    t.equal(linesOf(file).length, 100, end);
  }
});

t.test('a reader that does not read costs lines, which are counted, not the process', async (t) => {
  const script = `
    const { Log } = await import(${JSON.stringify(MODULE)});
    process.stderr._handle.setBlocking(false);
    const log = new Log({ file: null, level: 'info', role: 'x' });
    for (let i = 0; i < 20; i++) log.to.info({ i }, 'x'.repeat(60000));
    process.stdout.write('done');
    process.stdin.once('data', () => {
      log.to.info({}, 'read again');
      process.exit();
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  t.teardown(() => child.kill());
  t.equal(String((await once(child.stdout, 'data'))[0]), 'done', 'the writer goes on');
  let text = '';
  child.stderr.on('data', (bytes: Buffer) => { text += bytes.toString(); });
  await waitFor('what the pipe held', () => text.includes('"i":0'));
  child.stdin.write('go on');
  await once(child, 'close');
  const lines = text.trim().split('\n');
  t.match(lines.at(-1), /"msg":"read again"/);
  const note = lines.at(-2)!;
  t.match(note, /^\{"level":"warn","event":"log_lines_lost","lines":\d+\}$/, 'on its own line');
  const whole = lines.filter((line) => /"i":.*x"\}$/.test(line)).length;
  const { lines: lost } = JSON.parse(note) as { lines: number };
  t.ok(lost > 0 && whole + lost === 20, `${whole} lines came, ${lost} are said to be lost`);
});
