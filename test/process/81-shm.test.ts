/**
 * Goal: `baton shm` shows what an instance holds while it serves, whoever is its master and whether
 *   there is one; --check finds what is damaged and nothing else; neither writes a byte.
 * Method: the figures are those that the test has caused; damage is written behind a worker's back
 *   while it stands still, and put right again before it goes on.
 */
import t, { type Test } from 'tap';
import { createHash } from 'node:crypto';
import { chmodSync, closeSync, openSync, readSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Report } from '../../src/inspect/report.js';
import { Head } from '../../src/shm/head.js';
import { ALONE, Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { runBaton, type Ended } from '../support/command.js';
import { fullConf } from '../support/conf.js';
import { isFlawless } from '../support/exact-load.js';
import { FakeBackend } from '../support/fake-backend.js';
import { commit, upgrade } from '../support/hot-restart.js';
import { isStopped } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';
import { startUnderLoad } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const LANES_MAX = 64;
const redis = await Redis.start(t);
const CALM = 'instance: nothing found\nlane 0: nothing found\nlane 1: nothing found\n';

function shm(baton: Baton, ...args: string[]): Promise<Ended> {
  return runBaton(['shm', '-p', baton.pidFile, ...args], baton.directory);
}

async function reportOf(baton: Baton): Promise<Report> {
  const { code, out, err } = await shm(baton, '--json');
  if (code !== 0) throw new Error(err);
  return JSON.parse(out) as Report;
}

/** Waits until a report is as it should be: the lanes follow what clients do. */
async function reported(
  baton: Baton, what: string, holds: (report: Report) => boolean,
): Promise<Report> {
  let last: Report | null = null;
  return waitFor(what, async () => {
    last = await reportOf(baton);
    return holds(last) ? last : undefined;
  }).catch((error: Error) => {
    throw new Error(`${error.message}; the last one: ${JSON.stringify(last, null, 1)}`);
  });
}

function sum(report: Report, column: 'sessions' | 'links' | 'requests'): number {
  return report.lanes.reduce((total, lane) => total + lane[column], 0);
}

/** Of a class of units, by all lanes. */
function used(report: Report, name: string): number {
  return report.units.find((each) => each.class === name)!.holders
    .reduce((total, each) => total + each.used, 0);
}

function start(t: Test, more = {}): Promise<Baton> {
  return Baton.start(t, {
    servers: [redis], global: { worker_processes: 2, worker_hang_timeout: 0 },
    pool: { preconnect: true }, ...more,
  });
}

async function laneOf(client: Client): Promise<number> {
  return (Number(await client.call('CLIENT', 'ID')) - 1) % LANES_MAX;
}

/** `count` clients in each lane. */
async function seat(baton: Baton, count: number): Promise<[Client[], Client[]]> {
  const lanes: [Client[], Client[]] = [[], []];
  while (lanes.some((each) => each.length < count)) {
    const client = await baton.client();
    const its = lanes[await laneOf(client)]!;
    if (its.length < count) its.push(client);
    else client.destroy();
  }
  return lanes;
}

async function freeze(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  await waitFor('it to stand still', () => isStopped(pid));
}

t.test('what clients and servers hold', async (t) => {
  let held = 0;
  const server = await FakeBackend.start(t, () => { held += 1; }); // and never answers
  const baton = await start(t, { servers: [server], mayHold: true });
  const before = await reported(baton, 'both links', (report) => sum(report, 'links') === 2);
  t.equal(sum(before, 'sessions'), 0);
  t.equal(used(before, 'chunk'), 0);
  const lanes = await seat(baton, 4);
  lanes[0][0]!.push('*2\r\n$3\r\nGET\r\n$1\r\na\r\n');
  await waitFor('the server to have it', () => held === 1);
  const waiting = await reported(baton, 'a request', (report) => sum(report, 'requests') === 1);
  t.same(waiting.lanes.map(({ sessions }) => sessions), [4, 4]);
  t.same(waiting.lanes.map(({ requests }) => requests), [1, 0]);
  t.equal(used(waiting, 'chunk'), 0, 'nothing waits to be sent or framed');
  lanes[1][0]!.push('*2\r\n$3\r\nGET\r\n$9\r\nhalf');
  const half = await reported(baton, 'half a request', (report) => used(report, 'chunk') === 1);
  t.equal(half.units[1]!.holders[1]!.used, 1, 'in lane 1');
  t.equal(half.units[1]!.holders[1]!.bookedBytes, half.units[1]!.holders[1]!.bytes);
  t.match(half.fills.find(({ lane, table }) => lane === 0 && table === 'session'), { used: 4 });
  t.match(half.fills.find(({ table }) => table === 'backend'), { used: 1 });
  t.equal(half.object.path, baton.memory);
  t.ok(half.object.backedBytes < half.object.reservedBytes);
  t.same(half.lanes.map(({ ownerPid, ownerState }) => [ownerPid, ownerState]),
    baton.workers().map((pid) => [pid, 'serving']));
});

t.test('as text', async (t) => {
  const baton = await start(t, { global: { worker_processes: 2, worker_standby: 1 } });
  await reported(baton, 'a standby', ({ workers }) =>
    workers.some(({ isStandby, state }) => isStandby && state === 'ready'));
  const { code, out, err } = await shm(baton);
  t.equal(err, '');
  t.equal(code, 0);
  t.same(out.split('\n').filter((line) => /^[a-z]/.test(line)), ['object', 'masters', 'directory',
    'lanes', 'workers', 'tables', 'pool', 'rings', 'doorbells']);
  t.match(out, new RegExp(`^ +${baton.pid}  alive  in charge  ${baton.pidFile}$`, 'm'));
  t.match(out, /^  session +each lane +\d+ +192 +\d+ +37$/m);
  t.match(out, /^ +\d+ +\d+  ready +alive  standby /m);
  t.match(out, /^  6 of 6 have never carried anything$/m);
  t.notMatch(out, /queued_total/);
  t.match((await shm(baton, '--columns')).out, /^ +queued_total +u64 +1 +\d+$/m);
});

t.test('messages, read and unread', async (t) => {
  const baton = await start(t);
  const [here, there] = await seat(baton, 6);
  const ids = await Promise.all(there.map((client) => client.call('CLIENT', 'ID')));
  const kill = (id: unknown): Promise<unknown> => here[0]!.call('CLIENT', 'KILL', 'ID', String(id));
  t.equal(await kill(ids[0]), 1);
  await there[0]!.closed();
  const [ring, ...others] = (await reported(baton, 'it to be taken', ({ rings }) =>
    rings[0]?.taken === 1)).rings;
  t.match(ring, { from: 0, to: 1, queued: 1, published: 1, taken: 1, depth: 0, overflowBytes: 0 });
  t.same(others, []);
  const worker = baton.workers()[1]!;
  await freeze(worker);
  for (const id of ids.slice(1, 4)) t.equal(await kill(id), 1);
  const { rings, bells } = await reported(baton, 'three more', (report) =>
    report.rings[0]!.published === 4);
  t.match(rings, [{ from: 0, to: 1, queued: 4, taken: 1, depth: 3 }]);
  t.match(bells[1], { lane: 1, rungBy: [0] });
  t.match((await shm(baton)).out, /^  lane 0  lane 1 +4 +4 +1 +1 +3 +0 bytes$/m);
  process.kill(worker, 'SIGCONT');
  for (const client of there.slice(1, 4)) await client.closed();
  await reported(baton, 'all to be taken', (report) => report.rings[0]!.depth === 0
    && report.bells[1]!.rungBy.length === 0);
});

t.test('without a master', async (t) => {
  const baton = await start(t, { environment: ALONE });
  await baton.logged(/"event":"started"/);
  const client = await baton.client();
  const master = baton.pid;
  baton.killMaster(master);
  await waitFor('its end', () => baton.ending);
  const report = await reportOf(baton);
  t.match(report.masters, [{ pid: master, isAlive: false, isInCharge: true }]);
  t.ok(report.lanes.every(({ isOwnerAlive }) => isOwnerAlive));
  t.match((await shm(baton)).out, new RegExp(`nobody is in charge: the last one, ${master}, is dead`));
  t.same(await shm(baton, '--check'), { code: 0, out: CALM, err: '' });
  t.equal(await client.call('PING'), 'PONG');
  t.equal((await runBaton(['-s', 'stop', '-p', baton.pidFile], baton.directory)).code, 0);
  t.same(await shm(baton), { code: 1, out: '',
    err: `${baton.pidFile}: no pid file, Baton is not running (or has another one)\n` });
  await baton.stop().catch(() => {}); // it knows of no master that has ended by itself
});

t.test('while an upgrade can be undone', async (t) => {
  const baton = await start(t, { global: { worker_processes: 2, upgrade_canary: '200ms' } });
  const old = baton.pid;
  const next = await upgrade(baton);
  const { masters, workers, lanes } = await reportOf(baton);
  t.match(masters, [
    { pid: next, isAlive: true, isInCharge: true, file: baton.pidFile },
    { pid: old, isAlive: true, isInCharge: false, file: baton.oldPidFile },
  ]);
  const states = (master: number): string[] =>
    workers.filter(({ masterPid }) => masterPid === master).map(({ state }) => state);
  t.same(states(old), ['frozen', 'frozen']);
  t.same(states(next), ['serving', 'serving']);
  t.ok(lanes.every(({ takeovers }) => takeovers >= 2));
  t.same(await shm(baton, '--check'), { code: 0, out: CALM, err: '' });
  await commit(baton);
});

t.test('nothing to be read', async (t) => {
  const directory = scratch(t);
  const run = (...args: string[]): Promise<Ended> => runBaton(['shm', ...args], directory);
  writeFileSync(join(directory, 'stale.pid'), '999999999\n');
  t.match(await run('-p', 'stale.pid'),
    { code: 1, out: '', err: 'stale.pid: pid 999999999 is not a running Baton, the pid file is stale\n' });
  t.match(await run('-p', 'none.pid', '--check'),
    { code: 1, out: '', err: /^none\.pid: no pid file, Baton is not running .*\n$/ });
  const pools = { alpha: { listen: '127.0.0.1:1', redis: true, servers: ['127.0.0.1:2:1'] } };
  writeFileSync(join(directory, 'no.yml'), fullConf({}, pools));
  t.match(await run('-c', 'no.yml'), { code: 2, err: /^shm: which master\? say -p FILE/ });
  writeFileSync(join(directory, 'named.yml'), fullConf({ pid: 'mine.pid' }, pools));
  t.match(await run('-c', 'named.yml'), { code: 1, err: /^mine\.pid: no pid file/ });
});

/** As somebody for whom permissions count: root without the rights to pass over them, or as we are. */
function asMortal(baton: Baton, ...args: string[]): Promise<Ended> {
  const isRoot = process.getuid!() === 0;
  const rights = '-dac_override,-dac_read_search';
  const prefix = isRoot ? ['setpriv', `--bounding-set=${rights}`, `--inh-caps=${rights}`] : [];
  return runBaton(['shm', '-p', baton.pidFile, ...args], baton.directory, {}, prefix);
}

t.test('it needs the right to read, and no other', async (t) => {
  const baton = await start(t);
  t.teardown(() => chmodSync(baton.memory, 0o600));
  chmodSync(baton.memory, 0o400);
  t.match(await asMortal(baton), { code: 0, err: '' });
  t.same(await asMortal(baton, '--check'), { code: 0, out: CALM, err: '' });
  chmodSync(baton.memory, 0);
  for (const args of [[], ['--check']]) {
    t.same(await asMortal(baton, ...args), { code: 1, out: '', err: `${baton.pidFile}: shared memory `
      + `${baton.memory.replace('/dev/shm', '')} belongs to uid ${process.getuid!()}, `
      + 'and only that user and root may read it\n' });
  }
  chmodSync(baton.memory, 0o600);
});

/** Of instance tables and both lanes, with how much of the object is backed. */
function digest(path: string): string {
  const fd = openSync(path, 'r');
  const { plan } = Head.read(fd);
  const hash = createHash('sha1');
  const add = (offset: number, bytes: number): void => {
    const part = Buffer.alloc(1 << 20);
    for (let at = 0; at < bytes; at += part.length) {
      const count = readSync(fd, part, 0, Math.min(part.length, bytes - at), offset + at);
      hash.update(part.subarray(0, count));
    }
  };
  add(0, plan.sharedBytes);
  for (const base of plan.laneBase.slice(0, 2)) add(base, plan.laneStride);
  closeSync(fd);
  return `${hash.digest('hex')} ${statSync(path).blocks}`;
}

t.test('not a byte is written', async (t) => {
  const baton = await start(t);
  const lanes = await seat(baton, 3);
  for (const client of lanes.flat()) client.push('*2\r\n$3\r\nGET\r\n$9\r\nhalf');
  await reported(baton, 'buffers in use', (report) => used(report, 'chunk') === 6);
  const family = [...baton.workers(), baton.pid];
  for (const pid of family) await freeze(pid);
  const before = digest(baton.memory);
  t.equal((await shm(baton, '--columns')).code, 0);
  t.equal((await shm(baton, '--check')).code, 0);
  t.equal(digest(baton.memory), before);
  for (const pid of family) process.kill(pid, 'SIGCONT');
  for (const client of lanes.flat()) client.push('-done\r\n');
  await reported(baton, 'them to be free', (report) => used(report, 'chunk') === 0);
});

t.test('a check under load finds nothing', async (t) => {
  const { baton, load } = await startUnderLoad(t, await Redis.startMany(t, 3));
  let whole = 0;
  for (let round = 0; round < 8; round += 1) {
    const { out } = await shm(baton, '--check');
    const lines = out.trimEnd().split('\n');
    t.equal(lines.length, 3);
    for (const line of lines) {
      t.match(line, /: nothing found(| in its rows; it never rested: .*)$|: not checked: too busy/);
    }
    whole += out === CALM ? 1 : 0;
    await load.round();
  }
  t.comment(`${whole} of 8 were whole`);
  isFlawless(t, await load.finish());
});
