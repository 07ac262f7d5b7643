/**
 * Goal: an upgrade to a program that is no good undoes itself, and which program runs is decided by
 *   USR2 alone.
 * Method: Baton is started from an installation of its own, through a link as operators have it;
 *   releases that are broken in different ways are installed under it, with sessions that check
 *   every byte running through all of it.
 */
import t, { type Test } from 'tap';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Baton } from '../support/baton.js';
import { isFlawless, type ExactLoad } from '../support/exact-load.js';
import {
  commit, connectionsOf, edit, holdings, isHeld, isServedBy, reached, restored,
  steadyConnectionsOf, upgrade,
} from '../support/hot-restart.js';
import { Installation } from '../support/installed.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import type { Scope } from '../support/scope.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const servers = await Redis.startMany(t, 3);
const MAIN = 'dist/src/cli/main.js';
const WORKER = 'dist/src/worker/main.js';
const STRINGS = 'dist/src/protocol/commands/strings.js';

interface Installed {
  readonly installation: Installation;
  readonly baton: Baton;
  readonly load: ExactLoad;
}

async function start(scope: Scope, canary: string): Promise<Installed> {
  const installation = Installation.make(scope);
  const { baton, load } = await startUnderLoad(scope, servers, {
    program: installation.program,
    global: { upgrade_canary: canary, worker_shutdown_timeout: '2s' },
  }, TCP_ONLY);
  return { installation, baton, load };
}

/** USR2 that must come to nothing: the reason is in the log, and all is as it was. */
async function failUpgrade(
  t: Pick<Test, 'match'>, { baton }: Installed, reason: RegExp,
): Promise<void> {
  const old = baton.pid;
  const from = baton.log.length;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the upgrade to fail', () =>
    /"event":"upgrade_failed"/.test(baton.log.slice(from)));
  await restored(baton, old);
  t.match(baton.log.slice(from), reason);
}

/** Versions of the workers that serve. */
function versions(baton: Baton): string[] {
  return baton.lanes().map(({ owner }) => owner?.version ?? 'nobody');
}

t.test('programs that do not get as far as serving', async (t) => {
  const all = await start(t, '50ms');
  const { installation, baton, load } = all;
  const connections = await steadyConnectionsOf(servers, load);
  const workers = baton.workers();
  const before = holdings(baton);

  const conf = readFileSync(baton.confFile, 'utf8');
  edit(baton, /^pools:/m, '  worker_proceses: 2\npools:');
  await failUpgrade(t, all, /worker_proceses/);
  t.same(baton.workers(), workers, 'nothing has moved: its check has failed');
  writeFileSync(baton.confFile, conf);

  installation.release({ [MAIN]: (text) => `process.exit(3);\n${text}` });
  await failUpgrade(t, all, /exit code 3/);
  t.same(baton.workers(), workers);

  installation.release({ [MAIN]: (text) => `await import('node:no-such-module');\n${text}` });
  await failUpgrade(t, all, /no-such-module/);
  t.same(baton.workers(), workers);

  rmSync(join(installation.directory, 'current'));
  await failUpgrade(t, all, /Cannot find module|ENOENT/);
  t.same(baton.workers(), workers);

  installation.release({ [WORKER]: (text) => `throw new Error('planted');\n${text}` });
  await failUpgrade(t, all, /its workers do not start/);
  t.match(baton.log, /planted/);
  t.same(baton.workers(), workers);
  await load.round();
  await isHeld(t, baton, before);

  installation.release();
  await upgrade(baton);
  await commit(baton);
  t.same(versions(baton), [installation.version, installation.version], 'a good one follows');
  await load.round();
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

/** A worker that dies by itself, some time after its master has told it to take the lane. */
const DYING = (text: string): string => `let isTold = false;
process.on('SIGUSR2', () => {
  if (!isTold) setTimeout(() => process.kill(process.pid, 'SIGKILL'), 150);
  isTold = true;
});
${text}`;

t.test('a program whose worker dies on the canary lane', async (t) => {
  const all = await start(t, '10s');
  const { installation, baton, load } = all;
  const old = baton.pid;
  const connections = await steadyConnectionsOf(servers, load);
  installation.release({ [WORKER]: DYING });
  await load.hold(); // exactly once over a death is another test's
  await failUpgrade(t, all, /upgrade_failed/);
  t.equal(baton.pid, old);
  t.same(versions(baton), ['1.0.0', '1.0.0']);
  await load.go();
  await load.round();
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('a program that answers with errors what the old one could do', async (t) => {
  const all = await start(t, '10s');
  const { installation, baton, load } = all;
  installation.release({ [STRINGS]: (text) => text.replace("'strlen'", "'strlenx'") });
  const clients = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
  let isOver = false;
  const asking = Promise.all(clients.map(async (client) => {
    while (!isOver) await client.pipeline(Array.from({ length: 20 }, () => ['STRLEN', 'nothing']));
  }));
  await failUpgrade(t, all, /the upgrade failed, .*\d+ errors in \d+ requests/);
  isOver = true;
  await asking;
  for (const client of clients) t.equal(await client.call('STRLEN', 'nothing'), 0, 'it can again');
  t.same(versions(baton), ['1.0.0', '1.0.0']);
  await load.round();
  isFlawless(t, await load.finish());
});

t.test('which code runs', async (t) => {
  const { installation, baton, load } = await start(t, '50ms');
  t.same(versions(baton), ['1.0.0', '1.0.0']);
  installation.release();
  rmSync(join(installation.directory, 'release-1'), { recursive: true }); // as a package manager does
  await load.hold(); // exactly once over a death is another test's
  const [victim, other] = baton.workers();
  process.kill(victim!, 'SIGKILL');
  await reached(baton, 'a new worker', () => isServedBy(baton, baton.pid)
    && baton.workers().length === 2 && !baton.workers().includes(victim!));
  t.same(versions(baton), ['1.0.0', '1.0.0'], 'the replacement is what its master is');
  t.ok(isAlive(other!));
  await load.go();
  await load.round();
  const from = baton.log.length;
  process.kill(baton.pid, 'SIGHUP');
  await reached(baton, 'a reload', () => /"event":"drained"/.test(baton.log.slice(from)));
  t.same(versions(baton), ['1.0.0', '1.0.0'], 'after a reload too');
  await upgrade(baton);
  t.same(versions(baton), ['2.0.0', '2.0.0'], 'only USR2 looks at the disk');
  await commit(baton);
  t.same(versions(baton), ['2.0.0', '2.0.0']);
  await load.round();
  isFlawless(t, await load.finish());
});
