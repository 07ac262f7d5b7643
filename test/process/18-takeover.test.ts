/**
 * Goal: HUP is invisible to clients: no session closes, no reply is lost, doubled or out of order,
 *   no server sees a new connection, nothing is left over.
 * Method: 200 sessions that check every byte, over TCP and a unix socket, in RESP2 and RESP3, run
 *   through twenty reloads; slow readers, half frames, ten-megabyte values, splits over three
 *   servers and timed-out requests among them.
 */
import t from 'tap';
import { isFlawless } from '../support/exact-load.js';
import {
  connectionsOf, edit, holdings, isHeld, reload, steadyConnectionsOf,
} from '../support/hot-restart.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad, WHOLE_CAST } from '../support/under-load.js';

t.setTimeout(800_000); // for the whole file, on a busy machine

const isRoot = process.getuid!() === 0;
const servers = await Redis.startMany(t, 3);

t.test('twenty reloads under 200 sessions', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers, {}, { cast: WHOLE_CAST });
  const connections = await steadyConnectionsOf(servers, load);
  const takeovers = (): number[] => baton.lanes().map((lane) => lane.takeovers);
  const takeoversBefore = takeovers();
  await reload(baton);
  const before = holdings(baton);
  for (let i = 1; i < 20; i += 1) {
    edit(baton, /^pools:/m, `  stats_interval: ${30 + i}s\npools:`);
    await reload(baton);
    edit(baton, /^ {2}stats_interval.*\n/m, '');
    if (i % 5 === 0) t.same((await load.round()).trouble, [], `after ${i + 1} reloads`);
  }
  await load.round();
  await isHeld(t, baton, before);
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  t.same(takeovers(), takeoversBefore.map((count) => count + 20), 'each lane was taken 20 times');
  isFlawless(t, await load.finish());
});

t.test('as another user, where that can be had', async (t) => {
  const global = isRoot ? { user: 'nobody' } : {};
  const { baton, load } = await startUnderLoad(t, servers, { global });
  const connections = await steadyConnectionsOf(servers, load);
  for (let i = 0; i < 5; i += 1) await reload(baton);
  await load.round();
  t.same(await connectionsOf(servers), connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('several HUPs at once, and one while one is carried out', async (t) => {
  const { baton, load } = await startUnderLoad(t, servers);
  for (let i = 0; i < 5; i += 1) process.kill(baton.pid, 'SIGHUP');
  await baton.logged(/"event":"reloading"/);
  await reload(baton);
  await load.round();
  isFlawless(t, await load.finish());
});
