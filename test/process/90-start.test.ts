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
import { isAlive, sharedMemoryOf, titleOf, treeOf } from '../support/processes.js';
import type { Scope } from '../support/scope.js';
import { scratch } from '../support/scratch.js';
import { Hopeless, waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const START_PATIENCE_MS = 60_000;

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
      () => this.output.includes('Ctrl-C') || !isAlive(this.pid), START_PATIENCE_MS);
    if (!this.output.includes('Ctrl-C')) throw new Error(`not ready: ${this.output}`);
  }

  /** Exit code, or the signal it died of. */
  ended(): Promise<number | string> {
    return this.#ended;
  }

  /** What signals for Baton go to, as it says: the mute parent. */
  get parentPid(): number {
    return Number(/kill -USR2 (\d+)/.exec(this.output)?.[1]);
  }

  /** Shared memory that it has, by its names. */
  memory(): string[] {
    return treeOf(this.pid).flatMap(sharedMemoryOf);
  }

  /** The masters, oldest first. */
  masters(): number[] {
    return treeOf(this.pid).filter((pid) => titleOf(pid).startsWith('baton: master process'))
      .sort((a, b) => a - b);
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
    'global:', '  worker_processes: 1', '  upgrade_canary: 0', '  upgrade_window: 0',
    `  stats: 127.0.0.1:${stats}`,
    'pools:', '  main:', `    listen: 127.0.0.1:${listen}`, '    redis: true',
    '    servers:', `      - 127.0.0.1:${one}:1`, `      - 127.0.0.1:${two}:1`, '',
  ].join('\n'));
  return { conf, ports };
}

/** The kernel has done so itself where the parent's end left a group of its own that stood still. */
function goOn(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has ended meanwhile
  }
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
    t.ok(processes.length >= 5, 'two servers, the parent, a master, a worker');
    t.ok(processes.includes(start.parentPid), 'it says whom to send USR2 to');
    const memory = start.memory();
    t.not(memory.length, 0);
    process.kill(start.pid, signal);
    t.equal(await start.ended(), 0, 'asked to stop, it stops with success');
    await waitFor('all its processes to be gone', () => !processes.some(isAlive));
    t.same(readdirSync(folder), ['start.yml'], 'no file is left');
    t.same(memory.filter((path) => existsSync(path)), [], 'nor shared memory');
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
  const [processes, memory] = [treeOf(start.pid), start.memory()];
  process.kill(start.pid, 'SIGKILL');
  await waitFor('all its processes to be gone', () => !processes.some(isAlive));
  t.not(memory.length, 0);
  t.same(memory.filter((path) => existsSync(path)), [], 'its shared memory, too');
});

t.test('two upgrades and a death lose no session; then Ctrl-C leaves nothing', async (t) => {
  const folder = scratch(t);
  const { conf, ports } = await writeConf(folder);
  const start = new Start(t, conf, folder);
  await start.ready();
  const client = await Client.open(t, ports[0]!);
  let count = 0;
  const seen = new Set(treeOf(start.pid));
  for (let upgrade = 1; upgrade <= 2; upgrade += 1) {
    const [old] = start.masters();
    process.kill(start.parentPid, 'SIGUSR2');
    await waitFor('another master, alone', async () => {
      const reply = await client.call('INCR', 'n');
      if (reply !== (count += 1)) throw new Hopeless(`${JSON.stringify(reply)}; ${start.output}`);
      for (const pid of treeOf(start.pid)) seen.add(pid);
      const masters = start.masters();
      return masters.length === 1 && masters[0] !== old;
    });
    t.notOk(isAlive(old!));
  }
  t.equal(start.output.match(/sessions stay/g)?.length, 2, 'and it tells about them');
  const [killed] = start.masters();
  process.kill(killed!, 'SIGKILL');
  await waitFor('another master to adopt', async () => {
    const reply = await client.call('INCR', 'n');
    if (reply !== (count += 1)) throw new Hopeless(`${JSON.stringify(reply)}; ${start.output}`);
    for (const pid of treeOf(start.pid)) seen.add(pid);
    return start.output.includes(`what master ${killed} had left is adopted`);
  }, START_PATIENCE_MS);
  t.equal(await client.call('INCR', 'n'), count += 1);
  for (const pid of treeOf(start.pid)) seen.add(pid);
  process.kill(start.pid, 'SIGINT');
  t.equal(await start.ended(), 0);
  t.same([...seen].filter(isAlive).map(titleOf), [], 'no process is left');
  t.same(readdirSync(folder), ['start.yml'], 'nor a file');
});

t.test('a second Ctrl-C does not wait, and leaves nothing either', async (t) => {
  const folder = scratch(t);
  const { conf } = await writeConf(folder);
  const start = new Start(t, conf, folder);
  await start.ready();
  const processes = treeOf(start.pid);
  for (const pid of start.masters()) process.kill(pid, 'SIGSTOP');
  process.kill(start.pid, 'SIGINT');
  await waitFor('it to be stopping', () => start.output.includes('stopping'));
  process.kill(start.pid, 'SIGINT');
  await waitFor('the parent to be gone', () => !isAlive(start.parentPid));
  for (const pid of processes.filter(isAlive)) goOn(pid);
  t.equal(await start.ended(), 0);
  t.same(processes.filter(isAlive).map(titleOf), []);
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
