/**
 * Goal: versions that lay out shared memory differently take over from one another and give back,
 *   as far as their layouts allow; where they do not, nothing moves.
 * Method: other versions of the program are built from our sources: one with new columns that have
 *   defaults and columns that have become others by migrations, one with a column of another type
 *   and nothing that says how. What a session was shows in its CLIENT INFO.
 */
import t, { type Test } from 'tap';
import type { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { isFlawless, type ExactLoad } from '../support/exact-load.js';
import {
  adopted, commit, connectionsOf, reached, restored, rollBack, steadyConnectionsOf, upgrade,
} from '../support/hot-restart.js';
import { Installation } from '../support/installed.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';
import {
  buildVariant, columns, insertAfter, migrations, replaceColumn, type Changes,
} from '../support/variant.js';

t.setTimeout(800_000); // for the whole file, which builds two programs, on a busy machine

/** session.hops is new, 7 in rows that are older than it; idle= shows it. */
const HOPS = insertAfter('session', 'blamed_at', "['hops', 'i32', 'so far', 1, 7]");
/** A new column of a table that several versions write at a time: behind all others. */
const LANE_HOPS = insertAfter('lane', 'pool_bytes', "['hops', 'i32', 'so far']");
/** session.opened_us becomes session.opened_ms; age= is reckoned from it. */
const OPENED_MS = replaceColumn('session', 'opened_us', "['opened_ms', 'i32', 'lane time']");
/** Room for longer names: what lies behind them moves. */
const NAME = replaceColumn('session_info', 'name', "['name', 'u8', 'CLIENT SETNAME', 112]");

const NEXT: Changes = {
  ...columns(HOPS, LANE_HOPS, OPENED_MS, NAME),
  ...migrations(`{
    table: 'session', was: { column: 'opened_us', type: 'f64', count: 1 },
    is: { column: 'opened_ms', type: 'i32', count: 1 }, factor: 1 / 1000, plus: 0, oneWay: false,
  }, {
    table: 'session_info', was: { column: 'name', type: 'u8', count: 96 },
    is: { column: 'name', type: 'u8', count: 112 }, factor: 1, plus: 0, oneWay: false,
  }`),
  'src/proxy/session-desk.ts': (text) => text
    .replace(/idleSeconds: .*,/, 'idleSeconds: this.#word(row, Session.Hops),')
    .replace('nowUs - this.#double(row, Session.OpenedUs)',
      'nowUs - 1000 * this.#word(row, Session.OpenedMs)'),
  'native/session.cc': (text) => text.replace(
    'session.opened_us = session.active_us = head->now_us;',
    `session.hops = 1;
  session.active_us = head->now_us;
  session.opened_ms = static_cast<int32_t>(head->now_us / 1000);`,
  ),
};

const STRANGE: Changes = columns(
  replaceColumn('session', 'opened_us', "['opened_us', 'i32', 'lane time']"),
);

const [next, strange] = [await buildVariant(t, NEXT), await buildVariant(t, STRANGE)];
const servers = await Redis.startMany(t, 3);

const MIGRATIONS = 'dist/src/shm/migrations.js';
const STRINGS = 'dist/src/protocol/commands/strings.js';

interface Stage {
  readonly installation: Installation; // releases: 1.0.0 is ours, 2.0.0 the other one
  readonly baton: Baton;
  readonly load: ExactLoad;
  readonly clients: readonly Client[]; // each has a name and a library's name
  readonly openedAt: number;
  readonly connections: readonly number[];
}

async function start(t: Test, tree: string, canary: string): Promise<Stage> {
  const installation = Installation.make(t);
  const { baton, load } = await startUnderLoad(t, servers, {
    program: installation.program, global: { upgrade_canary: canary },
  });
  const connections = await steadyConnectionsOf(servers, load);
  const openedAt = performance.now();
  const clients = await Promise.all(Array.from({ length: 12 }, () => baton.client()));
  for (const [number, client] of clients.entries()) {
    await client.call('CLIENT', 'SETNAME', `name-${number}`);
    await client.call('CLIENT', 'SETINFO', 'LIB-NAME', `library-${number}`);
  }
  installation.release({}, tree);
  return { installation, baton, load, clients, openedAt, connections };
}

function versions(baton: Baton): string {
  return baton.lanes().map(({ owner }) => owner?.version ?? 'nobody').join();
}

/** Everybody is served, and sessions are what they were; `idle`: what the version says for it. */
async function isWell(t: Test, stage: Stage, when: string, idle: RegExp): Promise<void> {
  t.same((await stage.load.round()).trouble, [], when);
  for (const [number, client] of stage.clients.entries()) {
    const info = String(await client.call('CLIENT', 'INFO'));
    t.match(info, ` name=name-${number} `, when);
    t.match(info, ` lib-name=library-${number} `, when);
    t.match(info, idle, when);
    const passed = (performance.now() - stage.openedAt) / 1000;
    const age = Number(/ age=(\d+) /.exec(info)?.[1]);
    t.ok(age > passed - 3 && age <= passed, `${when}: ${age} of ${passed} s`);
  }
}

const ANY = / idle=\d+ /;
const DEFAULT = / idle=7 /; // hops, in sessions that are older than it

t.test('there and back, and there for good', async (t) => {
  const stage = await start(t, next, '50ms');
  const { installation, baton, load } = stage;
  await upgrade(baton);
  t.equal(versions(baton), '2.0.0,2.0.0');
  t.match(baton.log, /session\.hops: added/, 'the log says what changes');
  t.match(baton.log, /session\.opened_ms: i32, was opened_us f64/);
  await isWell(t, stage, 'upgraded', DEFAULT);
  const info = String(await (await baton.client()).call('CLIENT', 'INFO'));
  t.match(info, / idle=1 /, 'new sessions have what the program says');
  await rollBack(baton);
  t.equal(versions(baton), '1.0.0,1.0.0');
  await isWell(t, stage, 'rolled back', ANY);
  await upgrade(baton);
  await commit(baton);
  t.equal(versions(baton), '2.0.0,2.0.0');
  await isWell(t, stage, 'committed', DEFAULT);
  installation.release();
  await upgrade(baton);
  await commit(baton);
  t.equal(versions(baton), '3.0.0,3.0.0');
  await isWell(t, stage, 'back to the columns of before, as an upgrade', ANY);
  t.same(await connectionsOf(servers), stage.connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('a canary alone, told to give back, and killed', async (t) => {
  const stage = await start(t, next, '60s');
  const { baton, load } = stage;
  const old = baton.pid;
  const canary = async (): Promise<number> => {
    process.kill(old, 'SIGUSR2');
    await reached(baton, 'both versions to serve', () => versions(baton) === '2.0.0,1.0.0');
    await isWell(t, stage, 'with a canary', ANY);
    t.not(baton.lanes()[0]!.schemaHash, baton.lanes()[1]!.schemaHash);
    return baton.lanes()[0]!.owner!.pid;
  };
  await canary();
  process.kill(old, 'SIGHUP');
  await restored(baton, old);
  await isWell(t, stage, 'given back', ANY);
  const worker = await canary();
  await load.hold(); // exactly once over a death is another test's
  for (const client of stage.clients) await client.call('PING'); // turns: what was sent is sealed
  process.kill(worker, 'SIGKILL');
  await restored(baton, old);
  await load.go();
  t.equal(versions(baton), '1.0.0,1.0.0', 'the dead need not be asked for the way back');
  await isWell(t, stage, 'after a death', ANY);
  t.same(await connectionsOf(servers), stage.connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('a canary that does badly where there is no way back', async (t) => {
  const stage = await start(t, next, '10s');
  const { installation, baton, load, clients } = stage;
  installation.release({
    [MIGRATIONS]: (text) => text.replaceAll('oneWay: false', 'oneWay: true'),
    [STRINGS]: (text) => text.replace("'strlen'", "'strlenx'"), // an error where there was none
  }, next);
  const old = baton.pid;
  process.kill(old, 'SIGUSR2');
  let isOver = false;
  const asking = Promise.all(clients.map(async (client) => {
    while (!isOver) await client.pipeline(Array.from({ length: 20 }, () => ['STRLEN', 'nothing']));
  }));
  await reached(baton, 'all lanes to be served by it', () => versions(baton) === '3.0.0,3.0.0');
  isOver = true;
  await asking;
  t.match(baton.log, /"event":"no_roll_back".*no roll back: .*session\.opened_us/);
  t.match(baton.log, /"event":"upgrade_canary_bad".*there is no way back .*, so it goes on: .*errors/);
  await isWell(t, stage, 'none the less', DEFAULT);
  process.kill(old, 'SIGHUP');
  await baton.logged(/there is no roll back to version 1\.0\.0: /);
  await commit(baton);
  t.equal(versions(baton), '3.0.0,3.0.0');
  t.same(await connectionsOf(servers), stage.connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});

t.test('a column of another type, and no migration: refused before anything moves', async (t) => {
  const { baton, load } = await start(t, strange, '50ms');
  const [old, workers] = [baton.pid, baton.workers()];
  const takeovers = baton.lanes().map((lane) => lane.takeovers);
  process.kill(old, 'SIGUSR2');
  await baton.logged(/"event":"upgrade_failed"/, 30_000);
  await restored(baton, old);
  t.match(baton.log, 'shared memory: column session.opened_us was f64, is i32 here, '
    + 'and no migration is registered: a full restart is needed');
  t.same(baton.workers(), workers);
  t.same(baton.lanes().map((lane) => lane.takeovers), takeovers, 'no lane has moved');
  await load.round();
  isFlawless(t, await load.finish());
});

t.test('after the master\'s death another version adopts, or says why it cannot', async (t) => {
  const stage = await start(t, next, '50ms');
  const { installation, baton, load } = stage;
  let dead = baton.pid;
  baton.killMaster(dead);
  await adopted(baton, dead);
  t.equal(versions(baton), '2.0.0,2.0.0');
  await isWell(t, stage, 'adopted by the next version', DEFAULT);
  installation.release({}, strange);
  dead = baton.pid;
  baton.killMaster(dead);
  await waitFor('the parent to end with the master that it started', () => baton.ending);
  t.equal(baton.ending!.code, 1);
  t.match(baton.log, /serve on, and this program cannot adopt them: shared memory: column lane\.hops /);
  await isWell(t, stage, 'without a master', DEFAULT);
  installation.release();
  baton.startAgain();
  await adopted(baton, dead);
  t.equal(versions(baton), '4.0.0,4.0.0');
  await isWell(t, stage, 'adopted by the version of before', ANY);
  t.same(await connectionsOf(servers), stage.connections, 'no server has seen a new connection');
  isFlawless(t, await load.finish());
});
