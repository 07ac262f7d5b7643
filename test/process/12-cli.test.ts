/**
 * Goal: the command line tells what it did, by its text and by its exit code: 0 well, 1 it failed,
 *   2 something for the operator to correct.
 */
import t from 'tap';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { runBaton, type Ended } from '../support/command.js';
import { fullConf, poolsConf } from '../support/conf.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const directory = scratch(t);
const GOOD = { alpha: { listen: '127.0.0.1:6380', redis: true, servers: ['127.0.0.1:6379:1'] } };
writeFileSync(join(directory, 'good.yml'), fullConf({ log_level: 'warn' }, GOOD));
writeFileSync(join(directory, 'nutcracker.yml'), poolsConf(GOOD));
writeFileSync(join(directory, 'bad.yml'), fullConf({ nosuch: 1 }, {
  alpha: { ...GOOD.alpha, hash: 'md6', timeout: 'soon' },
}));
writeFileSync(join(directory, 'odd.yml'), fullConf({}, {
  alpha: { ...GOOD.alpha, servers: ['127.0.0.1:6379:1 a', '127.0.0.1:6378:100000 b'] },
}));

const run = (...args: string[]): Promise<Ended> => runBaton(args, directory);

t.test('-h and -V', async (t) => {
  const help = await run('-h');
  t.equal(help.code, 0);
  t.match(help.out, /^Usage: baton /);
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  const shown = await run('-V');
  t.equal(shown.code, 0);
  t.match(shown.out, `baton version ${version}\n`);
  t.match(shown.out, /node v\d+.*, layout [0-9a-f]{8}/);
});

t.test('-t: a good file, in both dialects', async (t) => {
  for (const file of ['good.yml', 'nutcracker.yml']) {
    t.same(await run('-t', '-c', file),
      { code: 0, out: '', err: `baton: configuration file ${file} test is successful\n` });
  }
});

t.test('-t: all mistakes at once, by line', async (t) => {
  const { code, out, err } = await run('-t', '-c', 'bad.yml');
  t.equal(code, 2);
  t.equal(out, '');
  const lines = err.trimEnd().split('\n');
  t.match(lines, [/^bad\.yml:2:3: nosuch: /, /^bad\.yml:\d+:\d+: hash: /,
    /^bad\.yml:\d+:\d+: timeout: /]);
  t.equal(lines.length, 3);
});

t.test('-t: warnings are shown, and do not fail it', async (t) => {
  const { code, err } = await run('-t', '-c', 'odd.yml');
  t.equal(code, 0);
  t.match(err, /^warning: odd\.yml:\d+:\d+: /);
  t.match(err, /test is successful\n$/);
});

t.test('-t: no such file', async (t) => {
  const { code, err } = await run('-t', '-c', 'none.yml');
  t.equal(code, 2);
  t.equal(err, 'none.yml: cannot be read: no such file or directory\n');
});

t.test('-T prints what can be read again, options of the command line included', async (t) => {
  const first = await run('-T', '-c', 'good.yml', '-p', 'x.pid', '-v', '11');
  t.equal(first.code, 0);
  t.match(first.out, /^  pid: x\.pid/m);
  t.match(first.out, /^  log_level: trace/m);
  t.match(first.out, /^  worker_processes: auto  # default$/m);
  writeFileSync(join(directory, 'printed.yml'), first.out);
  const second = await run('-T', '-c', 'printed.yml');
  const settings = (text: string) => text.replace(/ +# .*$/gm, '').replace(/^#.*$/m, '');
  t.equal(settings(second.out), settings(first.out));
});

t.test('a mistake on the command line', async (t) => {
  for (const args of [['-x'], ['-s', 'restart'], ['-c'], ['stray']]) {
    const { code, out, err } = await run(...args);
    t.equal(code, 2, args.join(' '));
    t.equal(out, '');
    t.match(err, /^baton: .*\n$/);
    t.equal(err.split('\n').length, 2, 'one line');
  }
});

t.test('a bad configuration does not start', async (t) => {
  const { code, err } = await run('-c', 'bad.yml');
  t.equal(code, 2);
  t.equal(err.trimEnd().split('\n').length, 3);
});

t.test('-s needs a running master', async (t) => {
  const none = await run('-s', 'quit', '-c', 'good.yml');
  t.equal(none.code, 2);
  t.match(none.err, /which master\?/);

  const absent = await run('-s', 'quit', '-p', 'absent.pid');
  t.equal(absent.code, 1);
  t.match(absent.err, /^absent\.pid: no pid file, Baton is not running/);

  const stranger = spawn('sleep', ['1000'], { stdio: 'ignore' });
  t.teardown(() => stranger.kill());
  writeFileSync(join(directory, 'stale.pid'), `${stranger.pid}\n`);
  const stale = await run('-s', 'stop', '-p', 'stale.pid');
  t.equal(stale.code, 1);
  t.match(stale.err, new RegExp(`^stale\\.pid: pid ${stranger.pid} is not a running Baton`));
  t.ok(isAlive(stranger.pid!), 'a stranger is left in peace');

  writeFileSync(join(directory, 'rubbish.pid'), 'rubbish');
  t.equal((await run('-s', 'stop', '-p', 'rubbish.pid')).code, 1);
});

t.test('-s reload, reopen, quit and stop reach the master', async (t) => {
  const redis = await Redis.start(t);
  for (const last of ['quit', 'stop']) {
    const baton = await Baton.start(t, { servers: [redis] });
    const { pid } = baton;
    const tell = async (signal: string) => {
      const { code, err } = await run('-s', signal, '-p', baton.pidFile);
      t.same({ code, err }, { code: 0, err: '' }, signal);
    };
    await tell('reload');
    await baton.logged(/"event":"drained"/);
    await tell('reopen');
    await baton.logged(/"event":"log_reopened"/);
    await tell(last);
    await waitFor('the master to end', () => !isAlive(pid));
    await baton.stop();
  }
});

t.test('-s upgrade, rollback, commit: there and back, and there for good', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis], global: { upgrade_canary: '100ms' } });
  const tell = (signal: string) => run('-s', signal, '-p', baton.pidFile);
  const client = await baton.client();
  const { pid: first, pidFile, oldPidFile } = baton;
  for (const signal of ['commit', 'rollback']) {
    const { code, err } = await tell(signal);
    t.equal(code, 1);
    t.equal(err, `-s ${signal}: no upgrade is under way, there is no old master in `
      + `${oldPidFile}\n`);
  }

  t.same(await tell('upgrade'), { code: 0, out: '', err: '' });
  await baton.logged(/"event":"upgraded"/);
  const second = baton.pid;
  t.not(second, first);
  t.equal(baton.pidIn(oldPidFile), first);
  const again = await tell('upgrade');
  t.equal(again.code, 1);
  t.match(again.err, `an upgrade is under way, the old master is pid ${first}: -s commit or`);
  t.equal(await client.call('INCR', 'n'), 1);

  t.same(await tell('rollback'), { code: 0, out: '', err: '' });
  t.notOk(isAlive(second), 'it comes back when the new master has ended');
  t.equal(await client.call('INCR', 'n'), 2, 'in the same session');
  t.equal(baton.pidIn(pidFile), first, 'the pid file is back');
  t.equal(baton.pidIn(oldPidFile), null, 'so the next upgrade may begin at once');

  await tell('upgrade');
  await waitFor('another upgrade', () => baton.log.match(/"event":"upgraded"/g)?.length === 2);
  const third = baton.pid;
  t.same(await tell('commit'), { code: 0, out: '', err: '' });
  await waitFor('the old master to end', () => !isAlive(first));
  t.equal(baton.pidIn(oldPidFile), null);
  t.equal(baton.pid, third);
  t.equal(await client.call('INCR', 'n'), 3);
});

t.test('-s stop comes back when everything has ended, also in an upgrade', async (t) => {
  const redis = await Redis.start(t);
  for (const isUpgrading of [false, true]) {
    const baton = await Baton.start(t, { servers: [redis], global: { upgrade_canary: '0' } });
    if (isUpgrading) {
      process.kill(baton.pid, 'SIGUSR2');
      await baton.logged(/"event":"upgraded"/);
    }
    const masters = [baton.pid, baton.pidIn(baton.oldPidFile)].filter((pid) => pid !== null);
    t.equal(masters.length, isUpgrading ? 2 : 1);
    t.same(await run('-s', 'stop', '-p', baton.pidFile), { code: 0, out: '', err: '' });
    t.same(masters.filter(isAlive), []);
    await baton.stop();
  }
});

t.test('-t --diff', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis], pool: { timeout: 400 } });
  const { confFile, pidFile } = baton;
  const diff = (...args: string[]) => run('-t', '--diff', '-p', pidFile, '-c', ...args);
  const success = (file: string) => `baton: configuration file ${file} test is successful\n`;

  t.same(await diff(confFile), {
    code: 0, out: '',
    err: `baton: nothing would change (pid ${baton.pid} runs)\n${success(confFile)}`,
  });
  const next = `${confFile}.next`;
  writeFileSync(next, readFileSync(confFile, 'utf8').replace('timeout: 400', 'timeout: 2s'));
  const changed = await diff(next);
  t.equal(changed.code, 0);
  t.match(changed.out, /timeout.*400ms.*2s/);
  t.equal(changed.out.trimEnd().split('\n').length, 1);
  t.equal(changed.err, success(next));
  t.notMatch(baton.log, /"event":"reload/, 'nobody was told');

  const absent = join(directory, 'absent.pid');
  t.same(await run('-t', '--diff', '-p', absent, '-c', confFile), {
    code: 0, out: '', err: `baton: nothing to compare with: ${absent}: no pid file, Baton is not `
      + `running (or has another one)\n${success(confFile)}`,
  });
  const nameless = await run('-t', '--diff', '-c', confFile);
  t.equal(nameless.code, 2);
  t.match(nameless.err, /^--diff: which master\?/);
});

t.test('-s reload with a broken configuration says so and reaches nobody', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis] });
  const broken = `${baton.confFile}.broken`;
  writeFileSync(broken, 'alpha:\n  redis: maybe\n');
  const { code, err } = await run('-s', 'reload', '-c', broken, '-p', baton.pidFile);
  t.equal(code, 2);
  t.match(err, /broken:2:\d+: redis: "maybe"/);
  t.notMatch(baton.log, /"event":"reload/);
});

t.test('options stay in force over a reload', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis], global: { pid: '/nowhere/baton.pid' } });
  process.kill(baton.pid, 'SIGHUP');
  await baton.logged(/"event":"drained"/);
  t.notMatch(baton.log, /conf_restart_only/, 'the -p of the command line, not the file\'s pid');
});
