/**
 * Goal: while an upgrade can be undone, signals mean what nginx's operators know: HUP and WINCH to
 *   the old master, QUIT to either, and the end of the window.
 * Method: sessions that check every byte run through all of it.
 */
import t from 'tap';
import { runBaton } from '../support/command.js';
import { isFlawless } from '../support/exact-load.js';
import {
  commit, connectionsOf, holdings, isAlone, isHeld, isServedBy, masters, reached, rollBack,
  steadyConnectionsOf, upgrade,
} from '../support/hot-restart.js';
import { isAlive } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, WHOLE_CAST } from '../support/under-load.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const QUICK = { upgrade_canary: '50ms' };
const isRoot = process.getuid!() === 0;
const servers = await Redis.startMany(t, 3);

t.test('five roll backs, then one upgrade that stays', async (t) => {
  const global = isRoot ? { ...QUICK, user: 'nobody' } : QUICK;
  const { baton, load } = await startUnderLoad(t, servers, { global }, { cast: WHOLE_CAST });
  const connections = await steadyConnectionsOf(servers, load);
  const old = baton.pid;
  await upgrade(baton);
  await rollBack(baton);
  const before = holdings(baton);
  for (let i = 1; i < 5; i += 1) {
    await upgrade(baton);
    await load.round();
    await rollBack(baton);
    t.same((await load.round()).trouble, [], `after ${i + 1} roll backs`);
  }
  t.equal(baton.pid, old);
  await isHeld(t, baton, before);
  await upgrade(baton);
  await commit(baton);
  await load.round();
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('WINCH commits: the old master stays for a while and takes nothing back', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  const old = baton.pid;
  const next = await upgrade(baton);
  t.ok(baton.crew().some(({ masterPid }) => masterPid === old), 'frozen workers of the old one');
  process.kill(old, 'SIGWINCH');
  await reached(baton, 'the old workers to be gone', () => isAlone(baton));
  t.equal(baton.pidIn(baton.oldPidFile), old, 'the old master is there');
  process.kill(old, 'SIGHUP');
  await baton.logged(/"level":"(warn|error)".*HUP/);
  t.ok(isServedBy(baton, next));
  await commit(baton);
  await load.round();
  isFlawless(t, await load.finish());
});

t.test('when nobody says anything, the end of upgrade_window commits', async (t) => {
  const global = { ...QUICK, upgrade_window: '500ms' };
  const { baton, load } = await startUnderLoad(t, servers, { global });
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'the old master to be gone', () => !isAlive(old) && isAlone(baton)
    && baton.pidIn(baton.oldPidFile) === null);
  t.ok(isServedBy(baton, baton.pid));
  isFlawless(t, await load.finish());
});

t.test('a second USR2 is refused, whoever gets it', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: { upgrade_canary: '300ms' } });
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  await reached(baton, 'a second master', () => masters(baton).length === 2);
  process.kill(old, 'SIGUSR2');
  await baton.logged(/"level":"(warn|error)".*USR2/);
  await reached(baton, 'the first upgrade to go on', () => baton.pidIn(baton.pidFile) !== null
    && baton.pid !== old && isServedBy(baton, baton.pid));
  const told = (): number => baton.log.match(/"level":"(warn|error)".*USR2/g)!.length;
  const before = told();
  process.kill(baton.pid, 'SIGUSR2');
  await reached(baton, 'the new master to refuse it, too', () => told() > before);
  t.equal(masters(baton).length, 2);
  await rollBack(baton);
  isFlawless(t, await load.finish());
});

t.test('-s upgrade, rollback and commit', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, { global: QUICK });
  const old = baton.pid;
  const send = async (signal: string): Promise<void> => {
    const { code, err } = await runBaton(['-s', signal, '-p', baton.pidFile], baton.directory);
    t.equal(code, 0, `-s ${signal}: ${err}`);
  };
  const served = (): Promise<void> => reached(baton, 'the new master to serve', () =>
    baton.pidIn(baton.oldPidFile) === old && baton.pidIn(baton.pidFile) !== null
    && isServedBy(baton, baton.pid));
  await send('upgrade');
  await served();
  await send('rollback');
  await send('upgrade'); // at once: nothing of the upgrade before is left to wait for
  await served();
  await send('commit');
  await reached(baton, 'the old master to be gone', () => !isAlive(old) && isAlone(baton));
  const { code, err } = await runBaton(['-s', 'rollback', '-p', baton.pidFile], baton.directory);
  t.not(code, 0);
  t.match(err, /oldbin|upgrade/, 'there is nothing to go back to');
  isFlawless(t, await load.finish());
});
