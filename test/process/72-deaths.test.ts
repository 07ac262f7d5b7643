/**
 * Goal: a worker may die between any two steps of a turn, of its start and of a takeover, and no
 *   client can tell: nothing closed, lost, doubled or out of order, nothing leaked.
 * Method: an addon with named places (native/fault.h), of which one at a time is armed while an
 *   exact load runs; what a place needs to be reached at all is done meanwhile.
 */
import t from 'tap';
import { WorkerState } from '../../src/shm/codes.js';
import { Baton } from '../support/baton.js';
import { ExactLoad, isFlawless } from '../support/exact-load.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { Faults } from '../support/faults.js';
import { reload } from '../support/hot-restart.js';
import { Redis } from '../support/redis.js';
import { dice } from '../support/seed.js';
import { startUnderLoad, TCP_ONLY } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 3; // much of the time is the pause before a worker that keeps dying is replaced

const servers = await Redis.startMany(t, 3);

/** Places that only a client who comes or goes brings a worker to. */
const OF_CLIENTS = ['Unwatched', 'ShutDown', 'Closed', 'RowFreed',
  'AcceptSaid', 'Accepted', 'AcceptPlaced', 'AcceptRowed'];
/** Places that only the next owner of a lane comes to. */
const OF_HEIRS = ['Claimed', 'UndoBegun', 'ImageRestored', 'Undone', 'Recounted', 'ReceivedKept',
  'AcceptedAdopted', 'SessionsRepaired', 'LinksRepaired', 'RepairCommitted', 'KeeperNamed'];
/** Inside of a send to a unix socket: the one place where a connection is lost. */
const OF_WIRES = ['WireSaid', 'WireSent'];
/** Places that a worker passes when it first connects, before there are sessions to lose. */
const OF_THE_START = ['SocketMade', 'ConnectStarted', 'ConnectNoted', 'Greeted'];
const OF_GIVING = ['Frozen'];
/** Those pauses add up: who reads slowly may wait that long for a whole reply. */
const PATIENCE_MS = 60_000;
const FAILURE = '-ERR this part has failed, in more bytes than its row could hold\r\n';

function isServed(baton: Baton): boolean {
  const lanes = baton.lanes();
  return lanes.length === 2 && lanes.every(({ owner }) =>
    owner !== null && owner.state === WorkerState.Serving && isThere(owner.pid));
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function comeAndGo(baton: Baton): Promise<void> {
  const client = await baton.client();
  await client.call('PING');
  client.destroy();
}

/** Arms a place and waits for the death there, and until every lane is served again. */
async function dieAt(
  baton: Baton, faults: Faults, name: string, after: number, provoke: () => Promise<void> | void,
): Promise<void> {
  faults.arm(name, { after });
  await waitFor(`a death at ${name}`, async () => {
    if (faults.hit === 0) await provoke();
    return faults.hit;
  }, 20_000);
  await waitFor(`every lane to be served after ${name}`, () => isServed(baton), 20_000);
}

/** `standbys`: the heir is one, or a new worker where the next death comes before one is warm. */
async function underFaults(
  t: Parameters<typeof startUnderLoad>[0], standbys = 0, plan = {}, pool = {},
): Promise<{
  baton: Baton; load: ExactLoad; faults: Faults;
}> {
  const faults = Faults.open(t);
  const options = { environment: faults.environment, global: { worker_standby: standbys }, pool };
  return { ...await startUnderLoad(t, servers, options,
    { patienceMs: PATIENCE_MS, ...plan }), faults };
}

t.test('in a turn', { buffered: true }, async (t) => {
  const { baton, load, faults } = await underFaults(t, 1);
  const random = dice(t);
  const special = [...OF_CLIENTS, ...OF_HEIRS, ...OF_THE_START, ...OF_GIVING, ...OF_WIRES];
  for (const name of Faults.names.filter((each) => !special.includes(each))) {
    await dieAt(baton, faults, name, 1 + random.below(20), () => {});
    t.same((await load.round()).trouble, [], name);
  }
  isFlawless(t, await load.finish());
});

/** Where a turn has sent to another lane, or taken from it, and what an heir makes of that. */
const OF_RELAYS = ['Applied', 'NearSettled', 'TurnBumped', 'Committed', 'MessagesPublished', 'UnitsSettled',
  'Sealed', 'ReplyNoted', 'RepliesFramed', 'Framed', 'BatchReady', 'ImageWritten'];

t.test('in a turn, over links that lanes share', { buffered: true }, async (t) => {
  const { baton, load, faults } = await underFaults(t, 1, TCP_ONLY, { server_connections_scope: 'proxy' });
  const random = dice(t);
  for (const name of OF_RELAYS) {
    await dieAt(baton, faults, name, 1 + random.below(20), () => {});
    t.same((await load.round()).trouble, [], name);
  }
  isFlawless(t, await load.finish());
});

t.test('while clients come and go', { buffered: true }, async (t) => {
  const { baton, load, faults } = await underFaults(t);
  for (const name of OF_CLIENTS) {
    await dieAt(baton, faults, name, 1, () => comeAndGo(baton));
    t.same((await load.round()).trouble, [], name);
  }
  isFlawless(t, await load.finish());
});

t.test('one after the other, in what the one before has left', { buffered: true }, async (t) => {
  const { baton, load, faults } = await underFaults(t, 1, TCP_ONLY);
  for (const name of OF_HEIRS) {
    await dieAt(baton, faults, name, 1, () => { // not every death leaves all that heirs may find
      if (isServed(baton)) process.kill(baton.workers()[0]!, 'SIGKILL');
    });
    t.same((await load.round()).trouble, [], name);
  }
  isFlawless(t, await load.finish());
});

t.test('frozen, while another is about to claim', { buffered: true }, async (t) => {
  const { baton, load, faults } = await underFaults(t);
  faults.arm('Frozen');
  await reload(baton);
  t.not(faults.hit, 0, 'an owner died as it gave its lane away');
  t.same((await load.round()).trouble, []);
  isFlawless(t, await load.finish());
});

t.test('when parts were merged, one of which had failed before', { buffered: true }, async (t) => {
  const [held, faults]: [Received[], Faults] = [[], Faults.open(t)];
  const failing = await FakeBackend.start(t, (request) => request.reply(FAILURE));
  const late = await FakeBackend.start(t, (request) => held.push(request));
  const baton = await Baton.start(t, {
    servers: [failing, late], pool: { distribution: 'modula' }, environment: faults.environment,
  });
  const keys = Array.from({ length: 16 }, (_, i) => `key${i}`);
  const client = await baton.client();
  const replies = client.pipeline([['MGET', ...keys], ['PING']], PATIENCE_MS);
  await waitFor('one part to be answered, by an error', async () => held.length === 1
    && await baton.metric('baton_server_responses_total') === 1);
  faults.arm('RepliesFramed');
  held[0]!.reply(`*${held[0]!.args.length}\r\n${'$1\r\nx\r\n'.repeat(held[0]!.args.length)}`);
  await faults.fired();
  t.same((await replies).map(({ raw }) => raw.toString()), [FAILURE, '+PONG\r\n']);
});

t.test('at its first connects', { buffered: true }, async (t) => {
  for (const name of OF_THE_START) {
    const faults = Faults.open(t);
    faults.arm(name, { after: 2 });
    const { baton, load } = await startUnderLoad(t, servers, { environment: faults.environment });
    t.not(faults.hit, 0, name);
    isFlawless(t, await load.finish());
    await baton.stop();
  }
});
