/** `-T`: what is printed loads again to the same settings, whatever the values are. */
import fc from 'fast-check';
import t from 'tap';
import { directivesOf } from '../../../src/config/directives.js';
import { parseSettings } from '../../../src/config/load.js';
import { printSettings, quoteYaml } from '../../../src/config/print.js';
import type { Settings } from '../../../src/config/settings.js';
import { HASHES, withoutSource } from '../../../src/config/settings.js';

const POOL = 'a:\n  listen: h:1\n  redis: true\n  servers:\n    - s:1:1\n';

function reloaded(settings: Settings): Settings {
  return parseSettings(printSettings(settings), 'printed').settings;
}

t.test('every directive is printed, and defaults are marked', (t) => {
  const text = printSettings(parseSettings(POOL, 'f.yml').settings);
  for (const { name } of [...directivesOf('global'), ...directivesOf('pool')]) {
    t.match(text, new RegExp(`^ +${name}:`, 'm'), name);
  }
  t.match(text, /^# f\.yml, fully resolved\n/);
  t.match(text, /^ {4}timeout: 0 {2}# default$/m);
  t.match(text, /^ {4}redis: true$/m);
  t.match(text, /^ {4}servers:\n {6}- s:1:1$/m);
  t.end();
});

t.test('any text survives quoting, as a value and as a key', (t) => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ unit: fc.constantFrom(...' \t\n\r:#-?[]{}&*!|>%@`"\'\\,~0ax\u0085\u2028\ue000') }),
    fc.constantFrom('', ' ', '-', '- a', 'a: b', 'a #b', '[::1]:1', 'null', '---', '<<', 'on'),
  ).filter((text) => !text.includes('\0') && text !== '' && Buffer.byteLength(text) <= 255);
  fc.assert(fc.property(anyText, anyText, (name, password) => {
    const written = `${quoteYaml(name)}:${POOL.slice(2)}  redis_auth: ${quoteYaml(password)}\n`;
    const [pool] = parseSettings(`pools:\n${written.replace(/^/gm, '  ')}`, 'f').settings.pools;
    return pool.name === name && pool.redisAuth === password;
  }));
  t.end();
});

const address = fc.oneof(
  fc.integer({ min: 1, max: 65535 }).map((port) => `h:${port}`),
  fc.integer({ min: 1, max: 65535 }).map((port) => `[::1]:${port}`),
  fc.integer({ min: 1, max: 65535 }).map((port) => `::2:${port}`),
  fc.stringMatching(/^\/[a-z./#-]{0,20}[a-z]$/),
);
const name = fc.option(fc.stringMatching(/^[\x21-\x7e]{1,12}$/));
const servers = fc.uniqueArray(
  fc.record({ address, weight: fc.integer({ min: 1, max: 2 ** 31 - 1 }), name }),
  { minLength: 1, maxLength: 5, selector: ({ address, name }) => name ?? address },
);
const pool = fc.record({
  hash: fc.constantFrom(...HASHES),
  distribution: fc.constantFrom('ketama', 'modula', 'random'),
  hash_tag: fc.stringMatching(/^[\x21-\x7e]{2}$/),
  timeout: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  server_retry_timeout: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
  client_output_limit: fc.integer({ min: 2 ** 16, max: 2 ** 30 }),
  backlog: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  reuseport: fc.constantFrom('on', 'off', 'true', 'false'),
  redis_auth: fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
}, { requiredKeys: [] });

t.test('printed settings load to the same settings', (t) => {
  fc.assert(fc.property(pool, servers, (directives, list) => {
    const lines = Object.entries(directives).map(([key, value]) =>
      `  ${key}: ${quoteYaml(String(value))}\n`);
    const items = list.map(({ address, weight, name }) =>
      `    - ${quoteYaml(`${address}:${weight}${name === null ? '' : ` ${name}`}`)}\n`);
    const text = `a:\n  listen: /listen 0700\n  redis: true\n${lines.join('')}  servers:\n${
      items.join('')}`;
    const { settings } = parseSettings(text, 'f');
    t.strictSame(withoutSource(reloaded(settings)), withoutSource(settings));
  }), { numRuns: 60 });
  t.end();
});

t.test('the global scope and several pools come back too', (t) => {
  const { settings } = parseSettings([
    'global:',
    '  worker_processes: 3',
    '  worker_cpu_affinity: 0-2,7 1',
    '  worker_shutdown_timeout: 90',
    '  log: /var/log/my baton.log',
    '  stats: "[::]:22222"',
    '  metrics: 127.0.0.1:9100',
    '  shm_max: 100000k',
    'pools:',
    POOL.replace(/^/gm, '  '),
    POOL.replace('a:', '"x: y":').replace('h:1', '/run/a b.sock 0660').replace(/^/gm, '  '),
  ].join('\n'), 'f');
  t.equal(settings.pools.length, 2);
  t.strictSame(withoutSource(reloaded(settings)), withoutSource(settings));
  t.equal(printSettings(reloaded(settings)).replace('printed', 'f'),
    printSettings(settings).replaceAll('  # default', ''), 'and print as they did');
  t.end();
});
