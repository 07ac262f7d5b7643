/** The directives that a reload cannot change are named, and no others. */
import t from 'tap';
import { parseSettings } from '../../../src/config/load.js';
import { findRestartOnly } from '../../../src/config/reload.js';
import type { Settings } from '../../../src/config/settings.js';

function settingsWith(global: string, pool: string, listen = 'h:1'): Settings {
  return parseSettings(
    `global:\n  log_level: info\n${global}pools:\n  a:\n    listen: ${listen}\n    redis: true\n${
      pool}    servers:\n      - s:1:1\n`, 'f').settings;
}

t.test('directives that need a restart', (t) => {
  const running = settingsWith('  max_openfiles: 2000\n', '    backlog: 100\n');
  t.strictSame(findRestartOnly(running, running), []);
  t.strictSame(findRestartOnly(running, settingsWith('  max_openfiles: 4000\n', '')), [
    'f:3:1: max_openfiles: stays 2000 until a restart, a reload does not change it to 4000',
    'f:5:1: backlog: stays 100 until a restart, a reload does not change it to 4096',
  ]);
  t.end();
});

t.test('directives that a reload applies', (t) => {
  const running = settingsWith('', '');
  const next = settingsWith('  log: x\n', '    timeout: 5\n    hash: md5\n');
  t.strictSame(findRestartOnly(running, next), []);
  t.end();
});

t.test('a pool with another address starts afresh', (t) => {
  const running = settingsWith('', '    backlog: 100\n');
  t.strictSame(findRestartOnly(running, settingsWith('', '    backlog: 200\n', 'h:2')), []);
  t.end();
});
