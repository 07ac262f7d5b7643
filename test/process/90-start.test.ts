/**
 * npm start as its user sees it: one program that starts everything, says where, and whatever way
 * it ends leaves no process, no busy port and no file behind.
 */
import t from 'tap';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from '../support/client.js';
import { freePort } from '../support/free-port.js';
import { isAlive, treeOf } from '../support/processes.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

let root = dirname(fileURLToPath(import.meta.url));
while (!existsSync(join(root, 'package.json'))) root = dirname(root);

class Start {
  output = '';
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | string>;

  constructor(scope: Scope, conf: string, temporary: string) {
    this.#child = spawn(process.execPath, [join(root, 'scripts/start.mjs'), '-c', conf], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, TMPDIR: temporary, BATON_NO_INSTALL: '1' },
    });
    this.pid = this.#child.pid!;
    this.#child.stdout!.on('data', (bytes) => { this.output += String(bytes); });
    this.#child.stderr!.on('data', (bytes) => { this.output += String(bytes); });
    this.#ended = new Promise((resolve) => {
      this.#child.on('exit', (code, signal) => resolve(code ?? signal ?? 'nothing'));
    });
    scope.teardown(() => this.#child.kill('SIGKILL'));
  }

  async ready(): Promise<void> {
    await waitFor(`start to be ready; it said ${this.output}`,
      () => this.output.includes('Ctrl-C') || !isAlive(this.pid));
    if (!this.output.includes('Ctrl-C')) throw new Error(`not ready: ${this.output}`);
  }

  /** Exit code, or the signal it died of. */
  ended(): Promise<number | string> {
    return this.#ended;
  }

  closeOutput(): void {
    this.#child.stdout!.destroy();
    this.#child.stderr!.destroy();
  }
}

async function writeConf(folder: string): Promise<{ conf: string; ports: number[] }> {
  const ports = [await freePort(), await freePort(), await freePort(), await freePort()];
  const [listen, stats, one, two] = ports;
  const conf = join(folder, 'start.yml');
  writeFileSync(conf, [
    'global:', '  worker_processes: 1', `  stats: 127.0.0.1:${stats}`,
    'pools:', '  main:', `    listen: 127.0.0.1:${listen}`, '    redis: true',
    '    servers:', `      - 127.0.0.1:${one}:1`, `      - 127.0.0.1:${two}:1`, '',
  ].join('\n'));
  return { conf, ports };
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  t.test(`${signal} stops everything`, async (t) => {
    const folder = scratch(t);
    const { conf, ports } = await writeConf(folder);
    const start = new Start(t, conf, folder);
    await start.ready();
    const client = await Client.open(t, ports[0]!);
    t.equal(await client.call('SET', 'key', 'value'), 'OK', 'it serves');
    t.match(start.output, `127.0.0.1:${ports[0]}`, 'it says where');
    t.match(start.output, `redis-cli -p ${ports[0]}`, 'and what to try');
    const processes = treeOf(start.pid);
    t.ok(processes.length >= 4, 'two servers, a master, a worker');
    process.kill(start.pid, signal);
    t.equal(await start.ended(), 0, 'asked to stop, it stops with success');
    await waitFor('all its processes to be gone', () => !processes.some(isAlive));
    t.same(readdirSync(folder), ['start.yml'], 'no file is left');
  });
}

t.test('a closed terminal stops everything', async (t) => {
  const folder = scratch(t);
  const { conf } = await writeConf(folder);
  const start = new Start(t, conf, folder);
  await start.ready();
  const processes = treeOf(start.pid);
  start.closeOutput();
  process.kill(start.pid, 'SIGHUP'); // what the kernel sends when a terminal goes
  t.equal(await start.ended(), 0);
  await waitFor('all its processes to be gone', () => !processes.some(isAlive));
  t.same(readdirSync(folder), ['start.yml']);
});

t.test('killed, it takes its processes along', async (t) => {
  const folder = scratch(t);
  const { conf } = await writeConf(folder);
  const start = new Start(t, conf, folder);
  await start.ready();
  const processes = treeOf(start.pid);
  process.kill(start.pid, 'SIGKILL');
  await waitFor('all its processes to be gone', () => !processes.some(isAlive));
  t.pass('nothing runs on');
});

t.test('a server that dies ends it with an error that names the server', async (t) => {
  const folder = scratch(t);
  const { conf, ports } = await writeConf(folder);
  const start = new Start(t, conf, folder);
  await start.ready();
  const processes = treeOf(start.pid);
  const server = await Client.open(t, ports[2]!);
  server.push('SHUTDOWN NOSAVE\r\n');
  t.equal(await start.ended(), 1);
  t.match(start.output, `redis-server on 127.0.0.1:${ports[2]} ended by itself`);
  await waitFor('all its processes to be gone', () => !processes.some(isAlive));
});

t.test('a busy port is one line', async (t) => {
  const folder = scratch(t);
  const { conf, ports } = await writeConf(folder);
  const busy = createServer();
  await new Promise<void>((resolve) => { busy.listen(ports[3], '127.0.0.1', () => resolve()); });
  t.teardown(() => busy.close());
  const start = new Start(t, conf, folder);
  t.equal(await start.ended(), 1);
  const lines = start.output.trim().split('\n');
  t.equal(lines.length, 1, start.output);
  t.match(lines[0], `port ${ports[3]} (a redis-server) is in use`);
  t.same(readdirSync(folder), ['start.yml']);
});

t.test('a mistake in the configuration is reported as Baton reports it', async (t) => {
  const folder = scratch(t);
  const conf = join(folder, 'start.yml');
  writeFileSync(conf, 'main:\n  listen: 127.0.0.1:1\n  redis: true\n  serverz: x\n');
  const start = new Start(t, conf, folder);
  t.equal(await start.ended(), 1);
  t.match(start.output, 'start.yml:4:');
  t.notMatch(start.output, '    at ', 'no stack');
});
