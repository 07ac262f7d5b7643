/**
 * What a right configuration means: defaults, both dialects, twemproxy's names and order,
 * and values taken as written.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { loadSettings, parseSettings } from '../../../src/config/load.js';
import { ConfigError } from '../../../src/config/remarks.js';
import type { PoolSettings } from '../../../src/config/settings.js';
import { withoutSource } from '../../../src/config/settings.js';

const POOL = 'a:\n  listen: h:1\n  redis: true\n  servers:\n    - s:1:1\n';

function poolOf(text: string): PoolSettings {
  return parseSettings(text, 'f').settings.pools[0];
}

t.test('defaults', (t) => {
  const { settings, warnings } = parseSettings(POOL, 'dir/f.yml');
  t.strictSame(warnings, []);
  t.strictSame(settings, {
    file: 'dir/f.yml',
    global: {
      workerProcesses: 'auto',
      workerCpuAffinity: 'off',
      workerStandby: 1,
      workerShutdownTimeoutMs: 30_000,
      workerHangTimeoutMs: 10_000,
      upgradeCanaryMs: 10_000,
      upgradeWindowMs: 300_000,
      orphanTimeoutMs: 60_000,
      user: null,
      group: null,
      maxOpenfiles: 0,
      log: null,
      logLevel: 'info',
      crashDir: null,
      pid: null,
      stats: null,
      statsIntervalMs: 30_000,
      metrics: null,
      shmMaxBytes: 4 * 1024 ** 3,
      lines: {},
    },
    pools: [{
      name: 'a',
      line: 1,
      listen: { kind: 'tcp', host: 'h', port: 1, text: 'h:1' },
      reuseport: true,
      backlog: 4096,
      tcpkeepalive: false,
      clientConnections: 0,
      clientOutputLimitBytes: 1024 ** 3,
      clientRequestsMax: 4096,
      requestSizeMaxBytes: 512 * 1024 ** 2,
      inlineSizeMaxBytes: 64 * 1024,
      redis: true,
      redisAuth: null,
      redisDb: 0,
      hash: 'fnv1a_64',
      hashTag: null,
      distribution: 'ketama',
      timeoutMs: 0,
      connectTimeoutMs: 1000,
      reconnectMinMs: 50,
      reconnectMaxMs: 5000,
      preconnect: false,
      serverConnections: 1,
      serverConnectionsScope: 'worker',
      linkQueueLimitBytes: 64 * 1024 ** 2,
      autoEjectHosts: false,
      serverFailureLimit: 2,
      serverRetryTimeoutMs: 30_000,
      servers: [{
        name: 's:1',
        address: { kind: 'tcp', host: 's', port: 1, text: 's:1' },
        weight: 1,
        line: 5,
      }],
      lines: { listen: 2, redis: 3, servers: 4 },
    }],
  });
  t.strictSame(JSON.parse(JSON.stringify(settings)), settings, 'plain JSON');
  t.end();
});

t.test('every key of twemproxy', (t) => {
  const { pools: [pool] } = parseSettings([
    'alpha:',
    '  listen: 0.0.0.0:22121',
    '  client_connections: 100',
    '  hash: one_at_a_time',
    '  hash_tag: "$$"',
    '  distribution: modula',
    '  timeout: 400',
    '  backlog: 1024',
    '  tcpkeepalive: true',
    '  reuseport: false',
    '  redis: true',
    '  redis_auth: secret',
    '  redis_db: 3',
    '  preconnect: true',
    '  auto_eject_hosts: true',
    '  server_connections: 2',
    '  server_retry_timeout: 2000',
    '  server_failure_limit: 1',
    '  servers:',
    '   - 127.0.0.1:6379:1',
    '   - /run/redis.sock:2 local',
  ].join('\r\n'), 'f').settings;
  t.match(pool, {
    clientConnections: 100, hash: 'one_at_a_time', hashTag: '$$', distribution: 'modula',
    timeoutMs: 400, backlog: 1024, tcpkeepalive: true, reuseport: false, redisAuth: 'secret',
    redisDb: 3, preconnect: true, autoEjectHosts: true, serverConnections: 2,
    serverRetryTimeoutMs: 2000, serverFailureLimit: 1,
  });
  t.strictSame(pool.servers.map(({ name, weight, line }) => [name, weight, line]),
    [['local', 2, 21], ['127.0.0.1:6379', 1, 20]]);
  t.end();
});

t.test('the full dialect means what the flat one means', (t) => {
  const full = parseSettings(`pools:\n${POOL.replace(/^/gm, '  ')}`, 'f').settings;
  const empty = parseSettings(`global:\npools:\n${POOL.replace(/^/gm, '  ')}`, 'f').settings;
  const flat = parseSettings(POOL, 'f').settings;
  t.strictSame(withoutSource(full), withoutSource(flat));
  t.strictSame(withoutSource(empty), withoutSource(flat));

  const { global } = parseSettings([
    'global:',
    '  worker_processes: 4',
    '  worker_cpu_affinity: 0 2-3,1 5',
    '  worker_shutdown_timeout: 10',
    '  worker_hang_timeout: 0',
    '  upgrade_canary: 1500ms',
    '  upgrade_window: 10m',
    '  orphan_timeout: 90',
    '  user: nobody',
    '  group: nogroup',
    '  max_openfiles: 1000',
    '  log: /var/log/baton.log',
    '  log_level: warn',
    '  pid: /run/baton.pid',
    '  stats: 0.0.0.0:22222',
    '  stats_interval: 1000',
    '  metrics: "[::1]:9100"',
    '  shm_max: 1g',
    'pools:',
    POOL.replace(/^/gm, '  '),
  ].join('\n'), 'f').settings;
  t.match(global, {
    workerProcesses: 4, workerCpuAffinity: [[0], [1, 2, 3], [5]], workerShutdownTimeoutMs: 10_000,
    workerHangTimeoutMs: 0, upgradeCanaryMs: 1500, upgradeWindowMs: 600_000,
    orphanTimeoutMs: 90_000,
    user: 'nobody', group: 'nogroup', maxOpenfiles: 1000, log: '/var/log/baton.log',
    logLevel: 'warn', pid: '/run/baton.pid', statsIntervalMs: 1000, shmMaxBytes: 1024 ** 3,
    stats: { kind: 'tcp', host: '0.0.0.0', port: 22222 },
    metrics: { kind: 'tcp', host: '::1', port: 9100 },
  });
  t.equal(global.lines.shm_max, 18);
  t.end();
});

t.test('pools may have the names of the full dialect', (t) => {
  for (const name of ['global', 'pools', 'listen', 'servers', '__proto__', '0123', 'a b']) {
    t.equal(poolOf(POOL.replace('a:', `${name}:`)).name, name);
    t.equal(poolOf(`pools:\n${POOL.replace('a:', `${name}:`).replace(/^/gm, '  ')}`).name, name);
  }
  t.end();
});

t.test('values are taken as written', (t) => {
  const passwords: [string, string][] = [
    ['0123', '0123'], ['1e5', '1e5'], ['0x10', '0x10'], ['1_000', '1_000'], ['.5', '.5'],
    ['yes', 'yes'], ['~', '~'], ['null', 'null'], ['2026-11-20', '2026-11-20'],
    ['a#b', 'a#b'], ['a:b', 'a:b'], ['   padded   ', 'padded'], ['x # a comment', 'x'],
    ['"a # b"', 'a # b'], ["'it''s'", "it's"], ['"\\u00e9"', 'é'], ['"!!"', '!!'],
  ];
  for (const [written, meant] of passwords) {
    t.equal(poolOf(`${POOL}  redis_auth: ${written}\n`).redisAuth, meant, written);
  }
  t.equal(poolOf(`${POOL}  backlog: 0100\n`).backlog, 100, 'a leading zero is not octal');
  t.end();
});

t.test('an empty password is none, with a word of warning when it may be an oversight', (t) => {
  t.equal(poolOf(`${POOL}  redis_auth: ""\n`).redisAuth, null);
  t.strictSame(parseSettings(`${POOL}  redis_auth: ""\n`, 'f').warnings, []);
  const { settings, warnings } = parseSettings(`${POOL}  redis_auth:\n`, 'f');
  t.equal(settings.pools[0].redisAuth, null);
  t.strictSame(warnings, [
    'f:6:14: redis_auth: has no value and so is not set, allowed: "" to say so',
  ]);
  t.end();
});

t.test('units', (t) => {
  const times: [string, number][] = [
    ['0', 0], ['400', 400], ['400ms', 400], ['5s', 5000], ['2m', 120_000], ['1h', 3_600_000],
    ['3S', 3000],
  ];
  for (const [written, ms] of times) {
    t.equal(poolOf(`${POOL}  timeout: ${written}\n`).timeoutMs, ms, written);
  }
  const sizes: [string, number][] = [
    ['65536', 65536], ['64k', 65536], ['3m', 3 * 1024 ** 2], ['1g', 1024 ** 3],
    ['1G', 1024 ** 3],
  ];
  for (const [written, bytes] of sizes) {
    t.equal(poolOf(`${POOL}  link_queue_limit: ${written}\n`).linkQueueLimitBytes, bytes, written);
  }
  const { global } = parseSettings(
    `global:\n  worker_shutdown_timeout: 500ms\n  worker_processes: 0\npools:\n${
      POOL.replace(/^/gm, '  ')}`, 'f').settings;
  t.equal(global.workerShutdownTimeoutMs, 500);
  t.equal(global.workerProcesses, 1, 'meitu\'s single process is one worker');
  t.equal(poolOf(`${POOL}  server_failure_limit: 0\n`).serverFailureLimit, 1);
  t.end();
});

t.test('listen addresses', (t) => {
  const forms: [string, object][] = [
    ['127.0.0.1:6380', { kind: 'tcp', host: '127.0.0.1', port: 6380, text: '127.0.0.1:6380' }],
    ['[::1]:6380', { kind: 'tcp', host: '::1', port: 6380, text: '[::1]:6380' }],
    ['"[::1]:6380"', { kind: 'tcp', host: '::1', port: 6380, text: '[::1]:6380' }],
    ['::1:6380', { kind: 'tcp', host: '::1', port: 6380, text: '::1:6380' }],
    [':::6380', { kind: 'tcp', host: '::', port: 6380, text: ':::6380' }],
    ['[fe80::1%eth0]:1', { kind: 'tcp', host: 'fe80::1%eth0', port: 1, text: '[fe80::1%eth0]:1' }],
    ['my_host.org:1', { kind: 'tcp', host: 'my_host.org', port: 1, text: 'my_host.org:1' }],
    ['/run/b.sock', { kind: 'unix', path: '/run/b.sock', text: '/run/b.sock' }],
    ['/run/b 0770', { kind: 'unix', path: '/run/b', mode: 0o770, text: '/run/b 0770' }],
    ['/run/my b.sock 666', {
      kind: 'unix', path: '/run/my b.sock', mode: 0o666, text: '/run/my b.sock 666',
    }],
  ];
  for (const [written, address] of forms) {
    t.strictSame(poolOf(POOL.replace('h:1', written)).listen, address, written);
  }
  t.end();
});

t.test('server addresses and names as twemproxy makes them', (t) => {
  const forms: [string, string, object][] = [
    ['10.0.0.1:6379:1', '10.0.0.1:6379', { host: '10.0.0.1', port: 6379 }],
    ['10.0.0.1:11211:1', '10.0.0.1', { host: '10.0.0.1', port: 11211 }],
    ['10.0.0.1:06379:1', '10.0.0.1:06379', { port: 6379, text: '10.0.0.1:06379' }],
    ['10.0.0.1:6379:1 server1', 'server1', { port: 6379 }],
    ['10.0.0.1:11211:1 a:b', 'a:b', { port: 11211, text: '10.0.0.1:11211' }],
    ['/run/x.sock:1', '/run/x.sock:', { kind: 'unix', path: '/run/x.sock', text: '/run/x.sock' }],
    ['/run/x.sock:1 x', 'x', { kind: 'unix', path: '/run/x.sock' }],
    ['::1:6379:1', '::1:6379', { host: '::1', port: 6379 }],
    ['[::1]:6379:1', '[::1]:6379', { host: '::1', port: 6379 }],
    ['[::1]:11211:1', '[::1]', { host: '::1', port: 11211 }],
    ['h:1:1 größe', 'größe', { host: 'h' }],
  ];
  for (const [written, name, address] of forms) {
    const [server] = poolOf(POOL.replace('s:1:1', written).replace('h:1', 'other:1')).servers;
    t.equal(server.name, name, written);
    t.match(server.address, address, written);
  }
  t.end();
});

t.test('servers and pools are sorted: shorter names first, then by bytes', (t) => {
  const names = ['zz', 'aaa', 'b', 'é', 'zy', 'B'];
  const servers = names.map((name, i) => `    - s:${i + 1}:1 ${name}\n`).join('');
  const pool = poolOf(POOL.replace('    - s:1:1\n', servers));
  t.strictSame(pool.servers.map(({ name }) => name), ['B', 'b', 'zy', 'zz', 'é', 'aaa']);

  const text = names.map((name, i) => POOL.replace('a:', `${name}:`).replace('h:1', `h:${i + 1}`));
  const { pools } = parseSettings(text.join(''), 'f').settings;
  t.strictSame(pools.map(({ name }) => name), ['B', 'b', 'zy', 'zz', 'é', 'aaa']);
  t.end();
});

t.test('warnings: servers that no key reaches, weights that do nothing', (t) => {
  const servers = '    - h:11214:100000\n    - h:11215:1\n';
  const text = POOL.replace('    - s:1:1\n', servers);
  t.strictSame(parseSettings(text, 'f').warnings, [
    'f:6:7: servers: "h:11215" gets 0 ketama points (weight 1 of 100001): no key will live ' +
      'there, allowed: a greater weight',
  ]);
  t.strictSame(parseSettings(`${text}  distribution: modula\n`, 'f').warnings, []);
  t.strictSame(parseSettings(`${text}  distribution: random\n`, 'f').warnings, [
    'f:5:7: servers: "h:11214" has weight 100000, which distribution random ignores, allowed: 1',
  ]);
  t.end();
});

t.test('files', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'baton-config-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'f.yml');

  writeFileSync(file, `\uFEFF${POOL}`);
  t.equal(loadSettings(file).settings.file, file);
  t.equal(loadSettings(file).settings.pools[0].line, 1, 'a byte order mark is no matter');

  writeFileSync(file, Buffer.concat([Buffer.from(`${POOL}  redis_auth: `), Buffer.of(0xff, 0x0a)]));
  t.throws(() => loadSettings(file), new ConfigError(
    [`${file}:6:1: configuration: is not UTF-8, allowed: UTF-8 text`]));

  const missing = join(directory, 'missing.yml');
  t.throws(() => loadSettings(missing),
    new ConfigError([`${missing}: cannot be read: no such file or directory`]));
  t.throws(() => loadSettings(directory),
    new ConfigError([`${directory}: cannot be read: illegal operation on a directory`]));
  t.end();
});
