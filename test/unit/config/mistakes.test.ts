/**
 * Every kind of mistake is told at its line and column, with what is allowed.
 * Each row is a configuration and the exact lines an operator gets for it.
 */
import t from 'tap';
import { parseSettings } from '../../../src/config/load.js';
import { ConfigError } from '../../../src/config/remarks.js';

/** A pool without mistakes; what a row appends to it begins on line 6. */
const POOL = 'a:\n  listen: h:1\n  redis: true\n  servers:\n    - s:1:1\n';
const FULL = `pools:\n${POOL.replace(/^/gm, '  ').trimEnd()}\n`;

const FILE_FORM = 'pools by name, or "global:" and "pools:"';
const LISTEN = 'host:port, [ipv6]:port, or /path with an octal mode behind it';
const SERVER = 'host:port:weight [name] or /path:weight [name]';
const TIME = '0 to 2147483647ms (milliseconds, or with ms, s, m, h)';
const MEMCACHED = 'is a memcached pool, which is not supported yet, allowed: "redis: true"';
const EVERY_HOST = '(0.0.0.0 is every IPv4 address, :: every address)';

function mistakesIn(text: string): readonly string[] {
  try {
    parseSettings(text, 'f');
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
}

type Row = [text: string, ...mistakes: string[]];

const shape: Row[] = [
  ['', `f:1:1: configuration: is empty, allowed: ${FILE_FORM}`],
  ['# nothing but this\n', `f:1:1: configuration: is empty, allowed: ${FILE_FORM}`],
  ['{}\n', `f:1:1: configuration: is empty, allowed: ${FILE_FORM}`],
  ['- a\n', `f:1:1: configuration: is a list, allowed: ${FILE_FORM}`],
  ['a\n', `f:1:1: configuration: is one value, allowed: ${FILE_FORM}`],
  ['a:\n', 'f:1:1: a: is a pool without directives, allowed: "listen", "redis", "servers" and ' +
    'more, each indented'],
  ['a: 5\n', 'f:1:4: a: is one value, allowed: indented "directive: value" lines'],
  ['a:\n  - x\n', 'f:2:3: a: is a list, allowed: indented "directive: value" lines'],
  ['listen: h:1\nservers:\n  - s:1:1\n',
    'f:1:1: listen: stands outside of any pool, allowed: inside of one',
    'f:2:1: servers: stands outside of any pool, allowed: inside of one'],
  ['"": {}\n', 'f:1:1: "": is not a pool name, allowed: 1 to 255 bytes'],
  ['? [a]\n: 1\n', 'f:1:3: configuration: this key is not a name, allowed: plain names'],
  ['<<: 1\n', 'f:1:1: <<: merge keys are not known, allowed: the directives in full'],
  ['pools:\n  <<: 1\n', 'f:2:3: <<: merge keys are not known, allowed: the directives in full'],
  ['global:\n', 'f:1:1: pools: is missing, allowed: pools by name inside "pools:"'],
  ['pools:\n', 'f:1:1: pools: has no pools, allowed: at least one'],
  [`${FULL}globl:\n  log: x\n`,
    'f:7:1: globl: is unknown (did you mean "global"?), allowed: "global:" and "pools:"'],
  [`${FULL}b:\n  listen: h:2\n`,
    'f:7:1: b: is a pool outside of "pools:", allowed: inside of it'],
  [`${POOL}${POOL}`, 'f:6:1: a: is a duplicate, allowed: once (the first is on line 1)'],
];

const yaml: Row[] = [
  [`${POOL}\tx: 1\n`, 'f:6:1: yaml: a tab indents this line, allowed: spaces'],
  ['a: b: c\n', 'f:1:4: yaml: a second "key: value" on one line, allowed: one (quote a value ' +
    'that contains ": ")'],
  ['a: "x\n', 'f:2:1: yaml: a quote opened before is not closed, allowed: quotes in pairs'],
  ['a: 1\nb\nc: 2\n', 'f:2:1: yaml: a name without a colon, allowed: "directive: value"'],
  [`${POOL}---\nb: 1\n`, 'f:6:1: yaml: a second document begins here, allowed: one per file'],
  ['a:\n  - x\n y: 2\n',
    'f:3:1: yaml: all mapping items must start at the same column, allowed: valid YAML'],
  ['x: `a\ny: %a\n',
    'f:1:4: yaml: plain value cannot start with reserved character `, allowed: valid YAML',
    'f:2:4: yaml: plain value cannot start with directive indicator character %, ' +
      'allowed: valid YAML'],
  [`${POOL}  redis_auth: &x 1\n  hash: *x\n  <<: *x\n  timeout: !!int 5\n`,
    'f:6:18: redis_auth: has the anchor "&x", allowed: the value without it',
    'f:7:9: hash: "*x" is an alias, allowed: the value itself (in quotes if it begins with *)',
    'f:8:3: <<: merge keys are not known, allowed: the directives in full',
    'f:9:18: timeout: has the tag "tag:yaml.org,2002:int", allowed: the value without it'],
];

const names: Row[] = [
  [`${POOL}  lisen: h:2\n`, 'f:6:3: lisen: is unknown (did you mean "listen"?), allowed: the ' +
    'pool directives of conf/reference.yml'],
  [`${POOL}  xyzzy: 1\n`, 'f:6:3: xyzzy: is unknown, allowed: the pool directives of ' +
    'conf/reference.yml'],
  [`${POOL}  log: x\n`,
    'f:6:3: log: is a global directive, allowed: inside of "global:", beside "pools:"'],
  [`${FULL}global:\n  hash: md5\n  Log_Lvel: info\n`,
    'f:8:3: hash: is a pool directive, allowed: inside of a pool',
    'f:9:3: Log_Lvel: is unknown (did you mean "log_level"?), allowed: the global directives of ' +
      'conf/reference.yml'],
  [`${POOL}  redis: true\n`,
    'f:6:3: redis: is a duplicate, allowed: once (the first is on line 3)'],
];

const values: Row[] = [
  [`${POOL}  timeout: fast\n`, `f:6:12: timeout: "fast" is not a time, allowed: ${TIME}`],
  [`${POOL}  timeout: -1\n`, `f:6:12: timeout: "-1" is not a time, allowed: ${TIME}`],
  [`${POOL}  timeout: 1e3\n`, `f:6:12: timeout: "1e3" is not a time, allowed: ${TIME}`],
  [`${POOL}  timeout: 2147483648\n`,
    `f:6:12: timeout: "2147483648" is out of range, allowed: ${TIME}`],
  [`${POOL}  timeout:\n`, `f:6:11: timeout: has no value, allowed: ${TIME}`],
  [`${POOL}  timeout: ""\n`, `f:6:12: timeout: has no value, allowed: ${TIME}`],
  [`${POOL}  timeout:\n    a: 1\n`, `f:7:5: timeout: is a mapping, allowed: ${TIME}`],
  [`${POOL}  hash_tag: {}\n`, 'f:6:13: hash_tag: is a mapping, allowed: two characters, such as ' +
    '"{}", in quotes if it begins with [ or {'],
  [`${POOL}  hash_tag: "{"\n`, 'f:6:13: hash_tag: "{" is not two printable ASCII characters, ' +
    'allowed: two characters, such as "{}"'],
  [`${POOL}  hash: fnv1a\n`, 'f:6:9: hash: "fnv1a" is not known (did you mean "fnv1a_64"?), ' +
    'allowed: one_at_a_time, md5, crc16, crc32, crc32a, fnv1_64, fnv1a_64, fnv1_32, fnv1a_32, ' +
    'hsieh, murmur, jenkins'],
  [`${POOL}  distribution: Ketama\n`, 'f:6:17: distribution: "Ketama" is not known ' +
    '(did you mean "ketama"?), allowed: ketama, modula, random'],
  [`${POOL}  preconnect: yes\n`,
    'f:6:15: preconnect: "yes" is not a boolean, allowed: true, false'],
  [`${POOL}  auto_eject_hosts: on\n`,
    'f:6:21: auto_eject_hosts: "on" is not a boolean, allowed: true, false'],
  [`${POOL}  reuseport: 1\n`,
    'f:6:14: reuseport: "1" is not a boolean, allowed: on, off, true, false'],
  [`${POOL}  server_connections: 0\n`,
    'f:6:23: server_connections: "0" is out of range, allowed: 1 to 1024'],
  [`${POOL}  redis_db: 0x1\n`,
    'f:6:13: redis_db: "0x1" is not a number, allowed: 0 to 2147483647'],
  [`${POOL}  redis_auth: "a\\0"\n`, 'f:6:15: redis_auth: has a zero byte, allowed: a password'],
  [`${POOL}  request_size_max: 2g\n`,
    'f:6:21: request_size_max: "2g" is out of range, allowed: 1k to 1g (bytes, or with k, m, g)'],
  [`${FULL}global:\n  worker_processes: many\n  worker_cpu_affinity: 0 1 9-3\n  stats: 22222\n` +
    '  shm_max: 1m\n',
  'f:8:21: worker_processes: "many" is not a number, allowed: auto, 0 to 64',
  'f:9:28: worker_cpu_affinity: "9-3" is not a list of cores, allowed: off, auto, or a list per ' +
    'worker such as 0 1 2-3 4,6 (cores 0 to 1023)',
  'f:10:10: stats: "22222" has no port, allowed: off, host:port or [ipv6]:port',
  'f:11:12: shm_max: "1m" is out of range, allowed: 64m to 1024g (bytes, or with k, m, g)'],
  [`${FULL}global:\n  worker_hang_timeout: 999ms\n`,
    'f:8:24: worker_hang_timeout: "999ms" is out of range, allowed: 0, or 1s to 24h ' +
    '(seconds, or with ms, s, m, h)'],
];

function listening(address: string): string {
  return POOL.replace('h:1', address);
}

const addresses: Row[] = [
  [listening('127.0.0.1'), `f:2:11: listen: "127.0.0.1" has no port, allowed: ${LISTEN}`],
  [listening('h:0'), `f:2:13: listen: "0" is not a port from 1 to 65535, allowed: ${LISTEN}`],
  [listening('h:65536'),
    `f:2:13: listen: "65536" is not a port from 1 to 65535, allowed: ${LISTEN}`],
  [listening(':6380'), `f:2:11: listen: has no host ${EVERY_HOST}, allowed: ${LISTEN}`],
  [listening('"*:6380"'),
    `f:2:11: listen: "*" is not a host ${EVERY_HOST}, allowed: ${LISTEN}`],
  [listening('1.2.3.400:1'),
    `f:2:11: listen: "1.2.3.400" is not an IPv4 address, allowed: ${LISTEN}`],
  [listening('[::x]:1').replace('[::x]:1', '"[::x]:1"'),
    `f:2:11: listen: "::x" is not an IPv6 address, allowed: ${LISTEN}`],
  [listening('a!b:1'), `f:2:11: listen: "a!b" is not a host name, allowed: ${LISTEN}`],
  [listening('/s 0999'),
    `f:2:14: listen: "0999" is not an octal mode from 0 to 0777, allowed: ${LISTEN}`],
  [listening('/s/'),
    `f:2:11: listen: "/s/" is a directory, not a socket path, allowed: ${LISTEN}`],
  [listening(`/${'s'.repeat(107)}`),
    `f:2:11: listen: the socket path is longer than 107 bytes, allowed: ${LISTEN}`],
];

const servers: Row[] = [
  [`${POOL}    - s:2\n`, `f:6:7: servers: "s:2" has no weight, allowed: ${SERVER}`],
  [`${POOL}    - "[::1]:2"\n`, `f:6:7: servers: "[::1]:2" has no weight, allowed: ${SERVER}`],
  [`${POOL}    - /s\n`, `f:6:7: servers: "/s" has no weight, allowed: ${SERVER}`],
  [`${POOL}    - s:2:0\n`,
    `f:6:11: servers: "0" is not a weight from 1 to 2147483647, allowed: ${SERVER}`],
  [`${POOL}    - s:x:1 name\n`,
    `f:6:9: servers: "x" is not a port from 1 to 65535, allowed: ${SERVER}`],
  [`${POOL}    - "s:2:1 my name"\n`,
    `f:6:12: servers: "1 my" is not a weight from 1 to 2147483647, allowed: ${SERVER}`],
  [`${POOL}    - {a: b}\n    - [c]\n`,
    `f:6:7: servers: a mapping is no server, allowed: ${SERVER}`,
    `f:7:7: servers: a list is no server, allowed: ${SERVER}`],
  [`${POOL}    - s:1:7\n    - t:1:1 s:1\n`,
    'f:6:7: servers: "s:1" is a duplicate name, allowed: once per pool (the first is on line 5)',
    'f:7:7: servers: "s:1" is a duplicate name, allowed: once per pool (the first is on line 5)'],
  [POOL.replace('\n    - s:1:1', ''),
    `f:4:11: servers: is empty, allowed: a list of ${SERVER}`],
  [POOL.replace('\n    - s:1:1', ' []'),
    `f:4:12: servers: is empty, allowed: a list of ${SERVER}`],
  [POOL.replace('\n    - s:1:1', ' s:1:1'),
    `f:4:12: servers: is one value, allowed: a list of ${SERVER}`],
];

const between: Row[] = [
  ['a:\n  hash: md5\n',
    `f:1:1: listen: is missing in pool "a", allowed: ${LISTEN}`,
    `f:1:1: servers: is missing in pool "a", allowed: a list of ${SERVER}`,
    `f:1:1: redis: pool "a" ${MEMCACHED}`],
  [POOL.replace('  redis: true\n', ''), `f:1:1: redis: pool "a" ${MEMCACHED}`],
  [`${POOL.replace('true', 'false')}  redis_auth: x\n  redis_db: 1\n`,
    `f:3:10: redis: pool "a" ${MEMCACHED}`,
    'f:6:3: redis_auth: needs a Redis pool, allowed: beside "redis: true"',
    'f:7:3: redis_db: needs a Redis pool, allowed: beside "redis: true"'],
  [POOL.replace('true', 'yes'), 'f:3:10: redis: "yes" is not a boolean, allowed: true, false'],
  [`${POOL}  reconnect_min: 10s\n`, 'f:6:18: reconnect_min: reconnect_min (10s) is above ' +
    'reconnect_max (5s), allowed: at most as long'],
  [`${POOL}${POOL.replace('a:', 'b:').replace('h:1', 'H:1')}`,
    'f:7:11: listen: "H:1" is taken by pool "a" on line 2, allowed: an address of its own'],
  [`${POOL.replace('h:1', '::1:5')}${POOL.replace('a:', 'b:').replace('h:1', '[0:0::1]:5')}`,
    'f:7:11: listen: "[0:0::1]:5" is taken by pool "a" on line 2, ' +
    'allowed: an address of its own'],
  [`${FULL}global:\n  stats: h:9\n  metrics: h:9\n`,
    'f:9:12: metrics: "h:9" is taken by "stats" on line 8, allowed: an address of its own'],
  [`${POOL}    - h:1:1\n`,
    'f:6:7: servers: "h:1" is where this pool itself listens, allowed: the address of a Redis ' +
    'server'],
  [POOL.replace('h:1', '0.0.0.0:7').replace('s:1:1', 'localhost:7:1'),
    'f:5:7: servers: "localhost:7" is where this pool itself listens, allowed: the address of a ' +
    'Redis server'],
];

const tables = { shape, yaml, names, values, addresses, servers, between };

for (const [name, rows] of Object.entries(tables)) {
  t.test(`mistakes of ${name}`, (t) => {
    for (const [text, ...expected] of rows) t.strictSame(mistakesIn(text), expected, text);
    t.end();
  });
}

t.test('the pools that the rows build on have no mistakes themselves', (t) => {
  t.strictSame(mistakesIn(POOL), []);
  t.strictSame(mistakesIn(FULL), []);
  t.end();
});

t.test('mistakes of all kinds are reported together, in the order of the file', (t) => {
  const text = [
    'global:',
    '  log_level: loud',
    'pools:',
    '  a:',
    '    lissten: h:1',
    '    redis: true',
    '    timeout: soon',
    '    servers:',
    '      - s:1',
    '  b:',
    '    listen: h:2',
    '    servers:',
    '      - s:2:1',
  ].join('\n');
  const places = mistakesIn(text).map((line) => line.split(' ').slice(0, 2).join(' '));
  t.strictSame(places, [
    'f:2:14: log_level:', 'f:4:3: listen:', 'f:5:5: lissten:', 'f:7:14: timeout:',
    'f:9:9: servers:', 'f:10:3: redis:',
  ]);
  t.end();
});

t.test('the error itself reads as all its lines', (t) => {
  const error = new ConfigError(['f:1:1: a: b', 'f:2:1: c: d']);
  t.equal(error.message, 'f:1:1: a: b\nf:2:1: c: d');
  t.equal(error.name, 'ConfigError');
  t.end();
});
