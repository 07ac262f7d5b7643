/** What a reload would change is found, nothing else is, and each change has its line. */
import t from 'tap';
import type { PoolKeys, SettingsDiff } from '../../../src/config/diff.js';
import { diffLines, diffSettings } from '../../../src/config/diff.js';
import { directivesOf } from '../../../src/config/directives.js';
import { parseSettings } from '../../../src/config/load.js';
import type { Settings } from '../../../src/config/settings.js';

interface PoolText {
  readonly listen?: string;
  readonly more?: readonly string[]; // directives
  readonly servers?: readonly string[];
}

function settingsWith(global: readonly string[], pools: { [name: string]: PoolText }): Settings {
  const text = Object.entries(pools).map(([name, { listen = 'h:1', more = [], servers }]) => [
    `  ${name}:`, `    listen: ${listen}`, '    redis: true', ...more.map((line) => `    ${line}`),
    '    servers:', ...(servers ?? ['s:1:1 a', 's:2:1 b']).map((line) => `      - ${line}`),
  ].join('\n')).join('\n');
  const globals = ['log_level: info', ...global].map((line) => `  ${line}\n`).join('');
  return parseSettings(`global:\n${globals}pools:\n${text}\n`, 'f').settings;
}

function pool(text: PoolText): Settings {
  return settingsWith([], { alpha: text });
}

function diffOf(before: Settings, after: Settings, share: number | null = 0.248): SettingsDiff {
  return diffSettings(before, after, () => share);
}

function linesOf(before: Settings, after: Settings, share?: number | null): string[] {
  return diffLines(diffOf(before, after, share));
}

t.test('nothing changes', (t) => {
  const running = settingsWith(['worker_shutdown_timeout: 60s'], {
    alpha: { listen: 'localhost:1', more: ['timeout: 1s'], servers: ['s:1:1 a', 'T:2:1 b'] },
  });
  const same = settingsWith(['worker_shutdown_timeout: 1m'], {
    alpha: { listen: 'LOCALHOST:1', more: ['timeout: 1000', 'hash: fnv1a_64'],
      servers: ['t:2:1 b', 's:1:1 a'] },
  });
  const diff = diffSettings(running, same, () => {
    throw new Error('there is nothing to compute');
  });
  t.strictSame(diff, { directives: [], added: [], removed: [], changed: [] });
  t.strictSame(diffLines(diff), []);
  t.end();
});

t.test('directives of the global scope', (t) => {
  const running = settingsWith(['stats: 127.0.0.1:1'], { alpha: {} });
  const next = settingsWith(['log: x', 'stats: off'], { alpha: {} });
  t.strictSame(linesOf(running, next), [
    'log: "" → x',
    'stats: 127.0.0.1:1 → off (not before a restart)',
  ]);
  t.end();
});

t.test('every directive of a pool, and by itself', (t) => {
  const values: { [name: string]: string } = {
    listen: 'h:7', redis_auth: 'x', hash: 'md5', hash_tag: '"{}"', distribution: 'modula',
    client_output_limit: '1m', request_size_max: '1m', inline_size_max: '1k',
    link_queue_limit: '1m', reuseport: 'off', server_connections_scope: 'proxy',
  };
  const running = pool({});
  for (const { name, type, fallback, reload } of directivesOf('pool')) {
    if (type.kind === 'list' || name === 'redis') continue;
    const value = values[name] ?? (typeof fallback === 'boolean' ? String(!fallback) : '77');
    const next = pool(name === 'listen' ? { listen: value } : { more: [`${name}: ${value}`] });
    const [change, ...others] = diffOf(running, next).changed[0]!.directives;
    t.equal(change!.name, name, name);
    t.equal(change!.isApplied, reload, `${name}: whether a reload applies it`);
    t.strictSame(others, []);
  }
  t.end();
});

t.test('lines of a pool', (t) => {
  const running = pool({});
  t.strictSame(linesOf(running, pool({ more: ['timeout: 400', 'backlog: 9'] })), [
    'pool alpha: backlog: 4096 → 9 (not before a restart)',
    'pool alpha: timeout: 0 → 400ms',
  ]);
  t.strictSame(linesOf(running, pool({ listen: 'h:2', more: ['backlog: 9'] })), [
    'pool alpha: listen: h:1 → h:2',
    'pool alpha: backlog: 4096 → 9',
  ], 'new listeners have a backlog of their own');
  t.strictSame(linesOf(pool({ listen: '/s 0600' }), pool({ listen: '/s 0666' })),
    ['pool alpha: listen: /s 0600 → /s 0666'], 'permissions are part of a listener');
  t.strictSame(linesOf(running, pool({ more: ['hash_tag: "{}"', 'redis_db: 2'] })), [
    'pool alpha: redis_db: 0 → 2, every key is looked up in another database',
    'pool alpha: hash_tag: "" → {}, keys with these characters may move to another server',
  ]);
  t.strictSame(linesOf(running, pool({ more: ['distribution: modula', 'hash: md5'] }), 2 / 3), [
    'pool alpha: hash: fnv1a_64 → md5',
    'pool alpha: distribution: ketama → modula',
    'pool alpha: keys: 66.7 % of the keys move to another server',
  ]);
  t.end();
});

t.test('passwords are not told', (t) => {
  const [none, one, other] = ['""', 'secret1', 'secret2'].map((password) =>
    pool({ more: [`redis_auth: ${password}`] })) as [Settings, Settings, Settings];
  t.strictSame(linesOf(none, one), ['pool alpha: redis_auth: "" → (hidden)']);
  t.strictSame(linesOf(one, other), ['pool alpha: redis_auth: another value']);
  t.strictSame(linesOf(other, none), ['pool alpha: redis_auth: (hidden) → ""']);
  t.notMatch(JSON.stringify(diffOf(one, other).changed[0]!.directives), /secret/);
  t.end();
});

t.test('servers', (t) => {
  const running = pool({ servers: ['s:1:1', 's:2:1 b', 's:3:1 c'] });
  const next = pool({ servers: ['s:1:1', 's:2:5 b', 's:9:1 c', 's:4:1'] });
  const { servers } = diffOf(running, next).changed[0]!;
  t.strictSame(servers.added.map(({ name }) => name), ['s:4']);
  t.strictSame(servers.removed, []);
  t.strictSame(servers.changed.map(({ before, after }) => [before.name, after.weight]),
    [['b', 5], ['c', 1]]);
  t.strictSame(linesOf(running, next), ['pool alpha: servers: + s:4:1, s:2:1 b → s:2:5 b, ' +
    's:3:1 c → s:9:1 c, 24.8 % of the keys move to another server']);
  t.strictSame(linesOf(running, pool({ servers: ['s:1:1', 's:2:1 b'] }), 1), [
    'pool alpha: servers: - s:3:1 c, 100.0 % of the keys move to another server']);
  t.end();
});

t.test('the words for a share', (t) => {
  const next = pool({ servers: ['s:1:1 a'] });
  const wordsFor = (share: number | null) => linesOf(pool({}), next, share)[0]!.split(', ').at(-1);
  t.equal(wordsFor(null), 'keys have no home with distribution random');
  t.equal(wordsFor(0), 'no key moves to another server');
  t.equal(wordsFor(1e-15), 'no key moves to another server');
  t.equal(wordsFor(0.0001), 'less than 0.1 % of the keys move to another server');
  t.equal(wordsFor(0.0005), '0.1 % of the keys move to another server');
  t.end();
});

t.test('pools come and go', (t) => {
  const running = settingsWith([], { alpha: {}, gamma: { listen: '/run/g' } });
  const next = settingsWith([], { alpha: {}, beta: { listen: 'h:3' },
    delta: { listen: 'h:4', servers: ['s:1:1'] } });
  t.strictSame(linesOf(running, next), [
    'pool beta: added, listens on h:3, 2 servers',
    'pool delta: added, listens on h:4, 1 server',
    'pool gamma: removed, listened on /run/g',
  ]);
  t.end();
});

t.test('what routing is asked', (t) => {
  const asked: PoolKeys[][] = [];
  const running = pool({ servers: ['LOCALHOST:1:3 b', '/s:1 a'] });
  const next = pool({ more: ['hash: md5'], servers: ['[0::1]:1:3 b'] });
  diffSettings(running, next, (before, after) => {
    asked.push([before, after]);
    return 0;
  });
  t.strictSame(asked, [[
    { hash: 'fnv1a_64', distribution: 'ketama', servers: [
      { name: 'a', weight: 1, home: '/s' }, { name: 'b', weight: 3, home: 'localhost:1' },
    ] },
    { hash: 'md5', distribution: 'ketama', servers: [
      { name: 'b', weight: 3, home: '[::1]:1' },
    ] },
  ]]);
  t.end();
});
