/**
 * Goal: a worker that dies of a fault of its own (a fatal signal, an error that nobody caught)
 *   loses nothing, and says why: a report in crash_dir, without secrets and clients' data, never
 *   too many of them, named by a line of the log.
 */
import t, { type Test } from 'tap';
import {
  chmodSync, closeSync, openSync, readFileSync, readdirSync, utimesSync, writeFileSync, writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { Superblock } from '../../src/tables/columns.gen.js';
import { WorkerState } from '../../src/shm/codes.js';
import { Baton } from '../support/baton.js';
import { runBaton } from '../support/command.js';
import { fullConf } from '../support/conf.js';
import { isFlawless } from '../support/exact-load.js';
import { FaultAction, Faults } from '../support/faults.js';
import { isAlive, sharedMemoryOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { buildVariant } from '../support/variant.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 2;

const servers = await Redis.startMany(t, 3);
const SECRET = 'a password in the environment';

interface Crash { worker: number; workerPid: number; how: string; report?: string }

function crashes(baton: Baton): Crash[] {
  return baton.log.split('\n').filter((line) => line.includes('"event":"worker_crashed"'))
    .map((line) => JSON.parse(line) as Crash);
}

/** The log line about the `number`th crash, when every lane is served again. */
async function crashed(baton: Baton, number: number): Promise<Crash> {
  const crash = await waitFor(`crash ${number} to be told`, () => crashes(baton)[number - 1]);
  await waitFor('every lane to be served', () => baton.lanes().every(({ owner }) =>
    owner?.state === WorkerState.Serving && isAlive(owner.pid)), 20_000);
  return crash;
}

function checkReport(t: Test, crash: Crash, ...parts: RegExp[]): void {
  const text = readFileSync(crash.report!, 'utf8');
  for (const part of parts) t.match(text, part);
  t.notOk(text.includes(SECRET), 'nothing of the environment');
}

t.test('a fatal signal', { buffered: true }, async (t) => {
  const faults = Faults.open(t);
  const directory = scratch(t);
  const { baton, load } = await startUnderLoad(t, servers, {
    environment: { ...faults.environment, SECRET }, global: { crash_dir: directory },
  }, TCP_ONLY);
  let count = 0;
  for (const name of ['Received', 'Framed', 'ImageWritten', 'Committed', 'LinkSent']) {
    faults.arm(name, { after: 3, action: FaultAction.Crash });
    const pid = await faults.fired();
    const crash = await crashed(baton, count += 1);
    t.match(crash, { workerPid: pid, how: 'SIGSEGV', report: join(directory, `worker-${pid}.crash`) });
    checkReport(t, crash, /signal SIGSEGV, code \d+, address 0x0\n/, /\(the lane's\)/,
      /^lane [01]$/m, /^turn \d+$/m, /backtrace\n.*baton\.node/s);
  }
  for (const signal of ['SIGSEGV', 'SIGABRT'] as const) {
    const victim = baton.workers()[1]!;
    process.kill(victim, signal);
    const crash = await crashed(baton, count += 1);
    t.match(crash, { worker: 1, workerPid: victim, how: signal });
    checkReport(t, crash, new RegExp(`signal ${signal}, .*, sent by pid ${process.pid}\n`));
  }
  t.equal(readdirSync(directory).length, count);
  isFlawless(t, await load.finish());
});

t.test('an error that nobody catches', { buffered: true }, async (t) => {
  const program = await buildVariant(t, {
    'src/worker/main.ts': (text) => `process.on('SIGPROF', () => { throw new Error('by a test'); });
      process.on('SIGVTALRM', () => { void Promise.reject(new Error('refused by a test')); });
      process.on('SIGXCPU', () => { process.exit(7); });
      ${text}`,
  });
  const directory = scratch(t);
  const { baton, load } = await startUnderLoad(t, servers, {
    program: join(program, 'bin/baton'), environment: { SECRET }, global: { crash_dir: directory },
  }, TCP_ONLY);
  let count = 0;
  for (const [signal, words] of [['SIGPROF', 'by a test'], ['SIGVTALRM', 'refused by a test']] as const) {
    process.kill(baton.workers()[0]!, signal);
    const crash = await crashed(baton, count += 1);
    t.match(crash, { worker: 0, how: 'exit code 1' });
    checkReport(t, crash, new RegExp(`"message": "Error: ${words}"`), /"javascriptStack"/);
    t.match(baton.log, new RegExp(`Error: ${words}\n +at `), 'its stack is in the log, too');
  }
  process.kill(baton.workers()[0]!, 'SIGXCPU');
  t.match(await crashed(baton, count + 1), { how: 'exit code 7' });
  isFlawless(t, await load.finish());
});

t.test('never too many reports', async (t) => {
  const directory = scratch(t);
  for (let i = 1; i <= 25; i += 1) {
    const path = join(directory, `worker-${i}.crash`);
    writeFileSync(path, '');
    utimesSync(path, i, i);
  }
  writeFileSync(join(directory, 'worker-1.crash.of-somebody-else'), '');
  const baton = await Baton.start(t, { servers, global: { crash_dir: directory } });
  process.kill(baton.workers()[0]!, 'SIGSEGV');
  const { report } = await crashed(baton, 1);
  await waitFor('old reports to be removed', () => readdirSync(directory).length === 21);
  t.ok(readdirSync(directory).map((name) => join(directory, name)).includes(report!));
  t.notOk(readdirSync(directory).includes('worker-6.crash'), 'the oldest go');

  const memory = openSync(sharedMemoryOf(baton.pid)[0]!, 'r+');
  writeSync(memory, Int32Array.of(10), 0, 4, Superblock.Reports * 4);
  closeSync(memory);
  process.kill(baton.workers()[0]!, 'SIGSEGV');
  t.equal((await crashed(baton, 2)).report, undefined, 'the eleventh of an hour is not written');
});

t.test('without crash_dir the log has the report', async (t) => {
  const baton = await Baton.start(t, { servers });
  process.kill(baton.workers()[0]!, 'SIGABRT');
  t.match(await crashed(baton, 1), { how: 'SIGABRT' });
  t.match(baton.log, /signal SIGABRT/);
});

t.test('shared memory is in no core file', async (t) => {
  const baton = await Baton.start(t, { servers });
  for (const pid of [baton.pid, ...baton.workers()]) {
    const maps = readFileSync(`/proc/${pid}/smaps`, 'utf8').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
      .filter((map) => map.split('\n')[0]!.includes('/dev/shm/'));
    t.ok(maps.length > 0);
    for (const map of maps) t.match(map, /^VmFlags:.* dd /m);
  }
});

t.test('a directory that cannot be used is a mistake of the operator', async (t) => {
  const directory = scratch(t);
  const isRoot = process.getuid!() === 0;
  const write = (crashDir: string): void => writeFileSync(join(directory, 'c.yml'), fullConf(
    { crash_dir: crashDir, ...(isRoot ? { user: 'nobody' } : {}) },
    { a: { listen: join(directory, 'b.sock'), redis: true, servers: [servers[0]!.entry] } }));
  const barred = scratch(t);
  chmodSync(barred, 0o500);
  for (const path of [join(directory, 'none'), join(directory, 'c.yml'), barred]) {
    write(path);
    for (const args of [['-t'], []]) {
      const { code, err } = await runBaton([...args, '-c', 'c.yml'], directory);
      t.equal(code, 2);
      t.match(err, /^c\.yml:2:1: crash_dir: .*$/m);
    }
  }
});

t.test('workers that run as another user', async (t) => {
  if (process.getuid!() !== 0) return;
  const directory = scratch(t);
  chmodSync(directory, 0o777);
  const baton = await Baton.start(t, { servers, global: { crash_dir: directory, user: 'nobody' } });
  process.kill(baton.workers()[0]!, 'SIGSEGV');
  checkReport(t, await crashed(baton, 1), /signal SIGSEGV/);
});
