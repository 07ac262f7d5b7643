/**
 * Goal: a reload goes on with the new values of what it may change and with the running ones of
 *   everything else; a broken file changes nothing.
 * Method: two texts, and a log that remembers.
 */
import t from 'tap';
import type { Logger } from '../../../src/base/log.js';
import { parseSettings } from '../../../src/config/load.js';
import { keepRestartOnly, loadAgain } from '../../../src/master/reload.js';

function text(global: string, pool: string): string {
  return `global:\n  ${global}\npools:\n  alpha:\n    redis: true\n    ${pool}\n`
    + '    servers:\n     - 127.0.0.1:1:1 one\n';
}

function read(global: string, pool: string) {
  return parseSettings(text(global, pool), 'conf.yml');
}

const LISTEN = 'listen: 127.0.0.1:7000';
const running = read('worker_processes: 2', `${LISTEN}\n    reuseport: on`).settings;

function memory() {
  const lines: string[] = [];
  const add = ({ event }: { event: string }, message: string): void => {
    lines.push(`${event}: ${message}`);
  };
  return { lines, log: { info: add, warn: add, error: add } as unknown as Logger };
}

t.test('restart-only directives keep their value', async (t) => {
  const next = read('max_openfiles: 3000\n  log_level: debug',
    `${LISTEN}\n    reuseport: off\n    timeout: 5`);
  const kept = keepRestartOnly(running, next.settings);
  t.equal(kept.global.maxOpenfiles, 0);
  t.equal(kept.global.logLevel, 'debug');
  t.equal(kept.pools[0]!.reuseport, true);
  t.equal(kept.pools[0]!.timeoutMs, 5);
});

t.test('a pool that moves begins afresh', async (t) => {
  const next = read('worker_processes: 2', 'listen: 127.0.0.1:7001\n    reuseport: off');
  t.equal(keepRestartOnly(running, next.settings).pools[0]!.reuseport, false);
});

t.test('what stays is said', async (t) => {
  const { lines, log } = memory();
  const load = () => read('worker_processes: 2\n  max_openfiles: 3000',
    `${LISTEN}\n    reuseport: on`);
  const next = loadAgain(load, running, log);
  t.equal(next?.global.maxOpenfiles, 0);
  t.match(lines, [/^conf_restart_only: conf\.yml:3:1: max_openfiles: stays 0/]);
});

t.test('workers are added, but not taken away', async (t) => {
  const { lines, log } = memory();
  const ask = (workers: number) => loadAgain(() =>
    read(`worker_processes: ${workers}\n  log_level: debug`, LISTEN), running, log);
  t.equal(ask(3)?.global.workerProcesses, 3);
  t.same(lines, []);
  const fewer = ask(1);
  t.equal(fewer?.global.workerProcesses, 2);
  t.equal(fewer?.global.logLevel, 'debug', 'the rest is applied');
  t.match(lines, [/^workers_not_removed: conf\.yml:2:1: worker_processes: stays 2/]);
});

t.test('every mistake is logged, and there are no settings', async (t) => {
  const { lines, log } = memory();
  const next = loadAgain(() => read('nosuch: 1', `${LISTEN}\n    hash: md6`), running, log);
  t.equal(next, null);
  t.match(lines, [/^conf_mistake: conf\.yml:2:3: nosuch/, /^conf_mistake: conf\.yml:\d+:\d+: hash/,
    /^reload_refused/]);
});

t.test('an error of ours is not taken for the operator\'s', async (t) => {
  const broken = (): never => { throw new TypeError('a bug'); };
  t.throws(() => loadAgain(broken, running, memory().log), TypeError);
});
