/**
 * Goal: what a machine cannot give is said at the start, in one line that names the directive,
 *   rather than found out under load.
 */
import t from 'tap';
import { readFileSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Baton } from '../support/baton.js';
import { runBaton } from '../support/command.js';
import { fullConf, type Directives } from '../support/conf.js';
import { Redis } from '../support/redis.js';
import { scratch } from '../support/scratch.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const redis = await Redis.start(t);

async function refusal(t: Parameters<typeof scratch>[0], global: Directives): Promise<string> {
  const directory = scratch(t);
  writeFileSync(join(directory, 'c.yml'), fullConf(global, {
    a: { listen: join(directory, 'b.sock'), redis: true, servers: [redis.entry] },
  }));
  const { code, err } = await runBaton(['-c', 'c.yml', '-p', 'b.pid'], directory);
  const lines = err.trimEnd().split('\n').filter((line) => !line.startsWith('{'));
  return `exit ${code}, ${lines.length} line: ${lines.join('\n')}`;
}

t.test('more shared memory than there is', async (t) => {
  const { blocks, bsize } = statfsSync('/dev/shm');
  const tooMany = Math.ceil((blocks * bsize) / 2 ** 30) + 1;
  t.match(await refusal(t, { shm_max: `${tooMany}g` }), new RegExp(
    `^exit 2, 1 line: c\\.yml:2:1: shm_max: ${tooMany * 1024} MiB and \\d+ MiB of tables are more `
    + 'than the \\d+ MiB free in /dev/shm: lower shm_max to \\d+m or less, or enlarge /dev/shm$'));
});

t.test('fewer open files than a worker needs', async (t) => {
  t.match(await refusal(t, { max_openfiles: 1000 }),
    /^exit 2, 1 line: c\.yml:2:1: max_openfiles: a worker may open 1000 files, .* at least \d+/);
});

t.test('more workers than lanes', async (t) => {
  t.match(await refusal(t, { worker_processes: 65 }),
    /^exit 2, 1 line: c\.yml:2:\d+: worker_processes: "65" is out of range, allowed: auto, 0 to 64$/);
});

t.test('max_openfiles is the limit of the workers', async (t) => {
  const baton = await Baton.start(t, { servers: [redis], global: { max_openfiles: 3000 } });
  const limits = readFileSync(`/proc/${baton.workers()[0]}/limits`, 'utf8');
  t.match(limits, /^Max open files +3000 /m);
});

t.test('by default it is the hard limit', async (t) => {
  const baton = await Baton.start(t, { servers: [redis] });
  const [, soft, hard] = /^Max open files +(\d+) +(\d+)/m.exec(
    readFileSync(`/proc/${baton.workers()[0]}/limits`, 'utf8'))!;
  t.equal(soft, hard);
});

t.test('workers are bound to their cores', async (t) => {
  const cores = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1]!;
  const first = /^\d+/.exec(cores)![0];
  const baton = await Baton.start(t, {
    servers: [redis], global: { worker_cpu_affinity: 'auto' },
  });
  const status = readFileSync(`/proc/${baton.workers()[0]}/status`, 'utf8');
  t.match(status, new RegExp(`^Cpus_allowed_list:\\s*${first}$`, 'm'));
});
