/**
 * Goal: workers run as the user and group that are configured, and everything they need goes on
 *   working; only a master that runs as root can do so, another one says that it cannot.
 */
import t from 'tap';
import {
  chmodSync, readdirSync, readFileSync, readlinkSync, renameSync, statSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { runBaton } from '../support/command.js';
import { fullConf } from '../support/conf.js';
import { adopted } from '../support/hot-restart.js';
import { sharedMemoryOf } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const isRoot = process.getuid!() === 0;
const redis = await Redis.start(t);

/** A column of /proc/PID/status that lists ids: real, effective, saved, file system. */
function ids(pid: number, name: 'Uid' | 'Gid'): number[] {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const line = new RegExp(`^${name}:\\t(.*)`, 'm').exec(status);
  return line![1]!.split('\t').map(Number);
}

function idOf(file: string, name: string): number {
  const line = readFileSync(file, 'utf8').split('\n').find((each) => each.startsWith(`${name}:`));
  return Number(line!.split(':')[2]);
}

const nobody = idOf('/etc/passwd', 'nobody');
const daemon = idOf('/etc/group', 'daemon');

if (isRoot) {
  t.test('workers become the user, the master stays root', async (t) => {
    const baton = await Baton.start(t, {
      servers: [redis], global: { worker_processes: 2, user: 'nobody', group: 'daemon' },
    });
    for (const worker of baton.workers()) {
      t.same(ids(worker, 'Uid'), [nobody, nobody, nobody, nobody]);
      t.same(ids(worker, 'Gid'), [daemon, daemon, daemon, daemon]);
    }
    t.same(ids(baton.pid, 'Uid'), [0, 0, 0, 0]);
    t.equal(statSync(sharedMemoryOf(baton.pid)[0]!).uid, nobody);
    t.equal(await (await baton.client()).call('SET', 'key', 'value'), 'OK');

    const [victim] = baton.workers();
    process.kill(victim!, 'SIGKILL');
    await waitFor('a new worker of the same user', () => baton.workers().length === 2
      && !baton.workers().includes(victim!)
      && baton.workers().every((pid) => ids(pid, 'Uid')[0] === nobody));
  });

  t.test('the log can be opened anew', async (t) => {
    const baton = await Baton.start(t, {
      servers: [redis], global: { user: 'nobody', log: 'baton.log' },
    });
    const path = join(baton.directory, 'baton.log');
    chmodSync(baton.directory, 0o755); // the user must get as far as the file
    t.equal(statSync(path).uid, nobody);
    renameSync(path, `${path}.1`);
    process.kill(baton.pid, 'SIGUSR1');
    await waitFor('master and worker to hold the new file', () =>
      [baton.pid, ...baton.workers()].every((pid) => readdirSync(`/proc/${pid}/fd`)
        .some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === path)));
    t.equal(statSync(path).uid, nobody);
  });

  t.test('a reload, and deaths of the master, alone and with its worker', async (t) => {
    const baton = await Baton.start(t, { servers: [redis], global: { user: 'nobody' } });
    process.kill(baton.pid, 'SIGHUP');
    await baton.logged(/"event":"drained"/);
    const client = await baton.client();
    t.equal(await client.call('CLIENT', 'SETNAME', 'stays'), 'OK');
    for (const withWorker of [false, true]) {
      const dead = baton.pid;
      const [worker] = baton.workers();
      baton.killMaster(dead);
      if (withWorker) process.kill(worker!, 'SIGKILL');
      await adopted(baton, dead);
      t.equal(String(await client.call('CLIENT', 'GETNAME')), 'stays');
      t.ok(baton.workers().every((pid) => ids(pid, 'Uid')[0] === nobody));
    }
  });
} else {
  t.test('without root', async (t) => {
    const baton = await Baton.start(t, { servers: [redis], global: { user: 'nobody' } });
    await baton.logged(/"event":"user_ignored"/);
    t.equal(ids(baton.workers()[0]!, 'Uid')[0], process.getuid!());
  });
}

t.test('an unknown user or group is one line', async (t) => {
  const directory = scratch(t);
  for (const directive of ['user', 'group']) {
    const value = `no-such-${directive}`;
    writeFileSync(join(directory, 'c.yml'), fullConf({ [directive]: value }, {
      a: { listen: join(directory, 'b.sock'), redis: true, servers: [redis.entry] },
    }));
    if (!isRoot) continue;
    const { code, err } = await runBaton(['-c', 'c.yml'], directory);
    t.equal(code, 2);
    t.match(err, `c.yml:2:1: ${directive}: there is no ${directive} "${value}"\n`);
  }
});
