/**
 * Baton between three servers and an exact load of every kind of session: what all tests of hot
 * restart begin with.
 */
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { Baton, type BatonOptions } from './baton.js';
import { ExactLoad, lateServer, type ExactPlan } from './exact-load.js';
import type { Redis } from './redis.js';
import type { Scope } from './scope.js';
import { scratch } from './scratch.js';

/** 200 sessions; one of them waits for late replies. */
export const WHOLE_CAST = {
  mixed: 130, counter: 30, split: 15, half: 10, slow: 4, big: 2, late: 1, idle: 8,
};
/** For tests that look at something else than the sessions. */
export const SMALL_CAST = { mixed: 30, counter: 8, split: 4, half: 4, slow: 1, big: 1, idle: 2 };

const LATE_MS = 4000; // what it leaves between early and late is for machines that are busy

export interface UnderLoad {
  readonly baton: Baton;
  readonly load: ExactLoad;
}

/** For workers that are killed at any moment: a unix socket that is just being written is lost. */
export const TCP_ONLY = { overUnix: false };

/** Two workers; a TCP port and a unix socket, all links open. Resolves when everybody is served. */
export async function startUnderLoad(
  scope: Scope, servers: readonly Redis[], options: Partial<BatonOptions> = {},
  { overUnix = true, ...plan }: Partial<ExactPlan> & { readonly overUnix?: boolean } = {},
): Promise<UnderLoad> {
  const late = await lateServer(scope, LATE_MS);
  const directory = scratch(scope);
  chmodSync(directory, 0o755); // workers may run as another user
  const path = join(directory, 'baton.sock');
  const entries = servers.map(({ entry }) => entry);
  const baton = await Baton.start(scope, {
    ...options,
    global: { worker_processes: 2, ...options.global },
    servers, pool: { preconnect: true, ...options.pool },
    pools: {
      late: { timeout: LATE_MS, connect_timeout: '10s', ...options.pool, servers: [late.entry] },
      unix: { listen: path, preconnect: true, ...options.pool, servers: entries },
    },
  });
  const load = await ExactLoad.start(scope, {
    addresses: overUnix ? [baton.port, path, baton.port] : [baton.port], cast: SMALL_CAST, prefix: `${baton.port}:`,
    requestsPerSecond: 4000, late: { address: baton.ports.late!, timeoutMs: LATE_MS }, ...plan,
  });
  await load.round();
  return { baton, load };
}
