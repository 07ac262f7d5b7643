/**
 * Goal: the command line is nginx's and twemproxy's; what is not understood is said in a line.
 */
import t from 'tap';
import { applyOverrides, readArgs, USAGE, UsageError } from '../../../src/cli/args.js';
import { parseSettings } from '../../../src/config/load.js';

function wanted(line: string) {
  return readArgs(line.split(' ').filter((word) => word !== ''));
}

function refusal(line: string): string {
  try {
    wanted(line);
    return 'accepted';
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
}

t.test('actions', async (t) => {
  t.match(wanted(''), {
    action: 'run', confFile: 'conf/baton.yml', daemonize: false, signal: null,
  });
  t.match(wanted('-c a.yml -d -p x.pid'), {
    action: 'run', confFile: 'a.yml', daemonize: true, overrides: { pid: 'x.pid' },
  });
  t.match(wanted('-tc a.yml'), { action: 'test', confFile: 'a.yml' });
  t.equal(wanted('-T').action, 'print');
  t.match(wanted('-t --diff'), { action: 'test', diff: true });
  t.match(wanted('-T --diff'), { action: 'print', diff: true });
  t.equal(wanted('-t').diff, false);
  t.equal(wanted('-V').action, 'version');
  t.equal(wanted('-hV').action, 'help');
  for (const signal of ['stop', 'quit', 'reopen', 'reload', 'upgrade', 'rollback', 'commit']) {
    t.match(wanted(`-s ${signal}`), { action: 'signal', signal });
  }
});

t.test('shm', async (t) => {
  t.match(wanted('shm'), { action: 'shm', shm: { check: false, columns: false, json: false } });
  t.match(wanted('shm -p x.pid --check'), { action: 'shm', shm: { check: true }, overrides: { pid: 'x.pid' } });
  t.match(wanted('-c a.yml shm --json --columns'), { confFile: 'a.yml', shm: { json: true, columns: true } });
  t.equal(wanted('shm -h').action, 'help');
  t.equal(refusal('--check'), '--check goes with shm');
  t.equal(refusal('-t --json'), '--json goes with shm');
  t.equal(refusal('shm stray'), 'unexpected argument \'stray\'');
  t.equal(refusal('stray shm'), 'unexpected argument \'stray\'');
});

t.test('long names', async (t) => {
  t.match(wanted('--conf-file=a.yml --pid-file=b.pid --test-conf'), {
    action: 'test', confFile: 'a.yml', overrides: { pid: 'b.pid' },
  });
  t.equal(wanted('--signal quit').signal, 'quit');
});

t.test('twemproxy\'s options', async (t) => {
  const { overrides, warnings } = wanted('-d -o x.log -v 7 -a 0.0.0.0:22222 -i 1000 -m 512');
  t.match(overrides, {
    log: 'x.log', logLevel: 'debug', statsIntervalMs: 1000, stats: { host: '0.0.0.0', port: 22222 },
  });
  t.match(warnings, [/^-m: has no effect/]);
  t.same([0, 3, 4, 5, 6, 9, 11].map((level) => wanted(`-v ${level}`).overrides.logLevel),
    ['fatal', 'error', 'warn', 'info', 'info', 'debug', 'trace']);
});

t.test('refusals', async (t) => {
  t.match(refusal('-x'), /unknown option '-x'/);
  t.match(refusal('-s'), /argument/);
  t.match(refusal('-s 22222'), /allowed: stop, quit, reopen, .*commit \(.* -a 0\.0\.0\.0:22222/);
  t.match(refusal('-s restart'), /^-s restart: allowed: stop/);
  t.match(refusal('-v 12'), /allowed: 0 to 11/);
  t.match(refusal('--diff'), /--diff goes with -t/);
  t.match(refusal('-s reload --diff'), /--diff goes with -t/);
  t.match(refusal('-a nonsense'), /^-a: .*allowed: host:port/);
  t.match(refusal('-i 0'), /^-i 0/);
  t.match(refusal('stray'), /stray/);
  t.notMatch(refusal('-x'), /\n/, 'one line');
});

t.test('the command line goes before the file', async (t) => {
  const { settings } = parseSettings(
    'a:\n  listen: 127.0.0.1:1\n  redis: true\n  servers:\n   - 127.0.0.1:2:1\n', 'x.yml');
  t.same(applyOverrides(settings, wanted('').overrides), settings, 'which says nothing by itself');
  const { global } = applyOverrides(settings, wanted('-p x.pid -v 11').overrides);
  t.match(global, { pid: 'x.pid', logLevel: 'trace', log: null });
});

t.test('the help names every option', async (t) => {
  for (const letter of 'cpdstTovaiVh') t.match(USAGE, new RegExp(`^  -${letter}, --`, 'm'), letter);
});
