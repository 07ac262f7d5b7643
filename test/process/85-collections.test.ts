/**
 * Goal: requests that are plainly forwarded leave no garbage: the collector does not run because of them.
 * Method: a worker that records V8's trace events serves a million pipelined requests; afterwards the
 *   record shows how often it ran in that time. Commands that the proxy answers itself, which may
 *   allocate, show that the record works.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { Baton } from '../support/baton.js';
import { spawnChild } from '../support/children.js';
import { Redis } from '../support/redis.js';

t.setTimeout(400_000);

interface TraceEvent {
  readonly name: string;
  readonly ts: number; // CLOCK_MONOTONIC, µs
}

function benchmark(port: number, args: string[]): Promise<number | null> {
  const child = spawnChild('redis-benchmark', ['-p', String(port), '-q', ...args], { stdio: 'ignore' });
  return new Promise((resolve) => child.once('close', resolve));
}

/**
 * A request that left a single number on the heap (16 bytes) would fill the young generation ten
 * times and more in a million. Timers fill it once when a slow machine makes the run long.
 */
const BY_TIMERS_MAX = 2;

const nowUs = (): number => Number(process.hrtime.bigint() / 1000n);

t.test('a million requests without a collection', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'baton-trace-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, {
    servers: [redis],
    environment: { BATON_CHECKS: '' },
    nodeOptions: [
      '--trace-event-categories', 'v8', '--trace-event-file-pattern', join(folder, '${pid}.json'),
    ],
  });
  const [worker] = baton.workers();
  t.equal(await benchmark(baton.port, ['-t', 'get,set', '-n', '100000', '-P', '16']), 0, 'warm');
  const begin = nowUs();
  t.equal(await benchmark(baton.port, ['-t', 'get,set', '-n', '500000', '-P', '16', '-r', '100000']), 0);
  const end = nowUs();
  t.equal(await benchmark(baton.port, ['-n', '100000', '-P', '16', 'CLIENT', 'INFO']), 0);
  await baton.stop();

  const trace = JSON.parse(readFileSync(join(folder, `${worker}.json`), 'utf8')) as {
    traceEvents: TraceEvent[];
  };
  const collections = trace.traceEvents.filter(({ name }) => /^V8\.GC(Scavenger|_MC_BACKGROUND|Finalize|Compactor)/i.test(name));
  const during = collections.filter(({ ts }) => ts >= begin && ts <= end).length;
  t.ok(during <= BY_TIMERS_MAX, `${during} collections during a million requests`);
  t.ok(collections.some(({ ts }) => ts > end), 'it does run for commands that allocate');
});
