/**
 * Goal: the links of a lane go on whoever owns the lane, and with whatever configuration: each is
 *   found by its row, links that nobody wants any more finish what they owe, new ones are made.
 * Method: link rows in memory of the test, the calls that steer links write them as C++ would; one
 *   owner after the other looks at the same rows. Time is set, timers are real.
 */
import t from 'tap';
import { LinkState } from '../../../src/shm/codes.js';
import { Link, PoolCounter } from '../../../src/tables/columns.gen.js';
import { waitFor } from '../../support/wait-for.js';
import { FakeLinks, rosterOf } from './fake-links.js';

const TWO_SERVERS = { id: 0, servers: ['a', 'b'], ids: [3, 5] };

/** Every link is up, as after a while. */
function allUp(fake: FakeLinks): void {
  for (const row of fake.rows().values()) fake.set(row, Link.State, LinkState.Up);
  fake.take();
}

function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
}

t.test('an empty lane gets a row for each server, protocol and connection', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([{ ...TWO_SERVERS, directives: ['server_connections: 2'] }]);
  const links = fake.owner(roster);
  links.adopt();
  t.same([...fake.rows().keys()].sort(), [
    '3/2/0', '3/2/1', '3/3/0', '3/3/1', '5/2/0', '5/2/1', '5/3/0', '5/3/1',
  ]);
  const expected = ['3/2/0', '3/2/1', '3/3/0', '3/3/1', '5/2/0', '5/2/1', '5/3/0', '5/3/1']
    .map((name) => fake.rows().get(name));
  t.same([...links.rowsOf(0)], expected, 'and routes find them');
});

t.test('a new owner of the same configuration changes nothing', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([TWO_SERVERS, { id: 2, servers: ['c'], ids: [0] }]);
  fake.owner(roster).adopt();
  allUp(fake);
  const links = fake.owner(roster);
  links.adopt();
  links.start();
  t.same(fake.take(), [], 'no call, no connect');
  for (const row of fake.rows().values()) t.ok(links.isUp(row));
  t.equal(links.leftOver(), 0);
  links.stop();
});

t.test('fewer connections: those beyond finish what they owe, then go', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([{ ...TWO_SERVERS, directives: ['server_connections: 2'] }])).adopt();
  allUp(fake);
  const beyond = fake.rows().get('3/2/1')!;
  fake.ask(beyond, 7);
  const links = fake.owner(rosterOf([TWO_SERVERS]));
  links.adopt();
  t.equal(links.leftOver(), 4);
  t.ok(fake.isLeaving(beyond));
  t.notOk([...links.rowsOf(0)].includes(beyond), 'no route leads there');
  links.start();
  t.equal(links.leftOver(), 1, 'those that owe nothing go at once');
  t.equal(fake.word(beyond, Link.State), LinkState.Up, 'the other one is still there');
  fake.answer(beyond);
  await waitFor('the link goes when it has answered', () => links.leftOver() === 0);
  t.equal(fake.word(beyond, Link.State), LinkState.Free);
  t.equal(fake.rows().size, 4);
  links.stop();
});

t.test('more connections: the links there are stay', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([TWO_SERVERS])).adopt();
  allUp(fake);
  const links = fake.owner(rosterOf([{ ...TWO_SERVERS, directives: ['server_connections: 2'] }]));
  links.adopt();
  const defined = fake.take().map((call) => call.split(' ')[2]);
  t.same(defined.sort(), ['3/2/1', '3/3/1', '5/2/1', '5/3/1']);
  t.equal(links.rowsOf(0)[0], fake.rows().get('3/2/0'));
  t.equal(links.rowsOf(0)[1], fake.rows().get('3/2/1'));
});

t.test('a removed server has worker_shutdown_timeout to answer', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([TWO_SERVERS])).adopt();
  allUp(fake);
  const row = fake.rows().get('5/2/0')!;
  fake.ask(row, 7);
  const shape = { id: 0, servers: ['a'], ids: [3], former: [['b', 5]] as const };
  const roster = rosterOf([shape], 'worker_shutdown_timeout: 60s');
  fake.owner(roster).adopt();
  const deadline = fake.double(row, Link.DeadlineUs);
  t.equal(deadline, fake.nowUs + 60e6);

  fake.at(fake.nowUs + 59e6);
  const links = fake.owner(roster);
  links.adopt();
  links.start();
  t.equal(fake.double(row, Link.DeadlineUs), deadline, 'the next owner gives no more time');
  t.equal(links.leftOver(), 1);
  fake.at(fake.nowUs + 1e6);
  await waitFor('the link is lost', () => links.leftOver() === 0);
  t.match(fake.take().filter((call) => call.startsWith(`lose ${row} `)),
    [/-ERR server 'b': removed from the configuration/]);
  links.stop();
});

t.test('a server that comes back before its links have gone keeps them', async (t) => {
  const fake = new FakeLinks();
  const before = rosterOf([TWO_SERVERS]);
  fake.owner(before).adopt();
  allUp(fake);
  const row = fake.rows().get('5/2/0')!;
  fake.ask(row, 7);
  fake.owner(rosterOf([{ id: 0, servers: ['a'], ids: [3], former: [['b', 5]] }])).adopt();
  t.ok(fake.isLeaving(row));
  const links = fake.owner(before);
  links.adopt();
  t.notOk(fake.isLeaving(row));
  t.equal(fake.double(row, Link.DeadlineUs), 0, 'nothing is awaited of it');
  t.equal(links.rowsOf(0)[2], row);
});

t.test('another password is another backend; the old links keep theirs', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([{ ...TWO_SERVERS, directives: ['redis_auth: one'] }])).adopt();
  allUp(fake);
  const old = fake.rows().get('3/2/0')!;
  fake.ask(old, 7);
  const roster = rosterOf([
    { id: 0, servers: ['a', 'b'], ids: [8, 9], directives: ['redis_auth: two'] },
  ]);
  const former = { ...roster.pools[0]!.backends[0]!, id: 3, redisAuth: 'one', isRetired: true };
  const pools = [{ ...roster.pools[0]!, backends: [...roster.pools[0]!.backends, former] }];
  const links = fake.owner({ ...roster, pools });
  links.adopt();
  links.start();
  const fresh = fake.rows().get('8/2/0')!;
  t.equal(links.prepare(fresh), true);
  fake.connected(links, fresh);
  t.match(fake.take().at(-1), /^handshake \d+ \*2 \$4 AUTH \$3 two$/);
  fake.set(old, Link.Replies, 1);
  fake.lost(links, old, 0);
  fake.connected(links, old);
  t.match(fake.take().at(-1), /^handshake \d+ \*2 \$4 AUTH \$3 one$/);
  links.stop();
});

t.test('links of a backend that the roster does not know', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([TWO_SERVERS, { id: 2, servers: ['c'], ids: [6] }])).adopt();
  allUp(fake);
  const row = fake.rows().get('6/2/0')!;
  fake.ask(row, 7);
  const links = fake.owner(rosterOf([TWO_SERVERS]));
  links.adopt();
  links.start();
  t.equal(links.leftOver(), 1, 'the one that owes something finishes it');
  fake.take();
  fake.lost(links, row, 104);
  t.match(fake.take(), [
    /^lose \d+ -ERR server that is no longer configured: connection reset by peer/,
    /^lose/, /^free/,
  ], 'nobody knows where to connect again');
  links.stop();
});

t.test('a retired pool keeps its links as long as it has clients', async (t) => {
  const fake = new FakeLinks();
  fake.owner(rosterOf([TWO_SERVERS])).adopt();
  allUp(fake);
  const clients = fake.view.poolCounter + PoolCounter.ClientConnections;
  fake.view.doubles[clients] = 1;
  const links = fake.owner(rosterOf([
    { ...TWO_SERVERS, isRetired: true }, { id: 1, servers: ['c'], ids: [0] },
  ]));
  links.adopt();
  links.start();
  t.equal(links.leftOver(), 0);
  t.ok(links.isUp(links.rowsOf(0)[0]!));
  fake.view.doubles[clients] = 0;
  await waitFor('its links go with the last client', () => fake.rows().size === 2);
  t.same([...links.rowsOf(0)], [0, 0, 0, 0], 'and no route leads to their rows');
  t.equal(links.prepare(0), false);
  t.match(links.refusal(0).toString(), /^-ERR no connection/);
  links.stop();
});

t.test('a handshake goes on where the owner before stopped', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([{ ...TWO_SERVERS, directives: ['redis_auth: pw', 'redis_db: 2'] }]);
  const first = fake.owner(roster);
  first.adopt();
  first.start();
  const row = fake.rows().get('3/2/0')!;
  t.ok(first.prepare(row));
  fake.connected(first, row);
  t.equal(fake.word(row, Link.RepliesDue), 2);
  first.onReply(row, Buffer.from('+OK\r\n'));
  first.stop();
  const second = fake.owner(roster);
  second.adopt();
  second.start();
  fake.take();
  t.ok(second.prepare(row), 'requests may wait for it');
  second.onReply(row, Buffer.from('+OK\r\n'));
  t.same(fake.take(), [`open ${row}`]);
  t.ok(second.isUp(row));
  second.stop();
});

t.test('a connect is given up at the deadline of the owner who began it', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([{ ...TWO_SERVERS, directives: ['connect_timeout: 60s'] }]);
  const first = fake.owner(roster);
  first.adopt();
  first.start();
  const row = fake.rows().get('3/2/0')!;
  first.prepare(row);
  first.stop();
  fake.at(fake.nowUs + 60e6 - 5000);
  const second = fake.owner(roster);
  second.adopt();
  second.start();
  fake.take();
  fake.at(fake.nowUs + 5000);
  await waitFor('the time is up', () => fake.word(row, Link.State) === LinkState.Down);
  t.match(fake.take(), [/^lose \d+ -ERR server 'a': connection timed out false$/]);
  t.same(fake.changes, ['a down: connection timed out']);
  t.equal(second.prepare(row), false, 'requests are refused meanwhile');
  second.stop();

  const third = fake.owner(roster);
  third.adopt();
  third.start();
  t.equal(third.prepare(row), false, 'by the next owner too');
  t.equal(third.refusal(row).toString(), "-ERR server 'a': connection timed out\r\n");
  fake.at(fake.double(row, Link.RetryUs) + 1);
  t.equal(third.prepare(row), true);
  fake.connected(third, row);
  t.same(fake.changes, ['a down: connection timed out', 'a up: connected'], 'told once');
  third.stop();
});

t.test('a request that is decided before the loss of its link is told', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([TWO_SERVERS]);
  fake.owner(roster).adopt();
  allUp(fake);
  const links = fake.owner(roster);
  links.adopt();
  links.start();
  const row = fake.rows().get('3/2/0')!;
  fake.set(row, Link.Replies, 1);
  fake.broken(row);
  t.equal(links.prepare(row), true, 'it waits for the next connection');
  t.same(fake.take(), [], 'which is not begun in the place of the one that is still to be closed');
  links.onLost(row, 0);
  t.match(fake.take(), [/^lose \d+ .* true$/, /^connect/]);

  fake.broken(row);
  t.equal(links.prepare(row), false, 'one that could not be had is not waited for');
  t.match(links.refusal(row).toString(), /^-ERR server 'a': \w/);
  links.onLost(row, 111);
  t.match(fake.take(), [/^lose \d+ .* false$/]);
  links.stop();
});

t.test('the alarm connects when the pause is over', async (t) => {
  const fake = new FakeLinks();
  const links = fake.owner(rosterOf([{ ...TWO_SERVERS, directives: ['reconnect_min: 10ms'] }]));
  links.adopt();
  links.start();
  const row = fake.rows().get('3/2/0')!;
  fake.connectResult = -111;
  t.equal(links.prepare(row), false);
  t.equal(fake.word(row, Link.Failures), 1);
  fake.take();
  fake.connectResult = 0;
  fake.at(fake.double(row, Link.RetryUs));
  await waitFor('the next try', () => fake.word(row, Link.State) === LinkState.Connecting);
  t.same(fake.take(), [`connect ${row} /run/a.sock 0 true`]);
  links.stop();
});

t.test('a name is looked up again by the next owner; the old answer is late', async (t) => {
  const fake = new FakeLinks();
  const roster = rosterOf([{ id: 0, servers: ['a=localhost:6390'], ids: [0] }]);
  const first = fake.owner(roster);
  first.adopt();
  first.start();
  const row = fake.rows().get('0/2/0')!;
  t.ok(first.prepare(row));
  t.equal(fake.word(row, Link.State), LinkState.Resolving);
  first.stop();
  const second = fake.owner(roster);
  second.adopt();
  second.start();
  await waitFor('the name is known', () => fake.word(row, Link.State) === LinkState.Connecting);
  t.equal(fake.calls.filter((call) => call.startsWith('resolving')).length, 2);
  t.equal(fake.calls.filter((call) => call.startsWith('connect')).length, 1);
  second.stop();
});

t.test('who has lost the lane has no timer, and may get it back', async (t) => {
  const before = timers();
  const fake = new FakeLinks();
  const roster = rosterOf([{ ...TWO_SERVERS, directives: ['timeout: 1s', 'preconnect: true'] }]);
  const links = fake.owner(roster);
  for (let round = 0; round < 2; round++) {
    links.adopt();
    links.start();
    t.ok(timers() > before, 'who has it has some');
    links.stop();
    t.equal(timers(), before);
  }
  t.equal(fake.calls.filter((call) => call.startsWith('connect')).length, 2,
    'the connects of the first time are still under way the second time');
});

t.test('too few rows: a place shares another one until a link has left', async (t) => {
  const fake = new FakeLinks();
  const wide = { id: 0, servers: ['a'], ids: [0], directives: ['server_connections: 31'] };
  fake.owner(rosterOf([wide])).adopt();
  allUp(fake);
  const rows = fake.rows();
  t.equal(rows.size, 62);
  for (let place = 0; place < 31; place++) fake.ask(rows.get(`0/2/${place}`)!, 1 + place);
  for (let place = 0; place < 31; place++) fake.ask(rows.get(`0/3/${place}`)!, 40);
  const links = fake.owner(rosterOf([
    { id: 0, servers: ['b'], ids: [1], former: [['a', 0]], directives: ['server_connections: 2'] },
  ]));
  links.adopt();
  links.start();
  const routes = [...links.rowsOf(0)];
  const only = fake.rows().get('1/2/0')!;
  t.same(routes, [only, only, 0, 0], 'one row was free');
  fake.answer(rows.get('0/3/4')!);
  fake.answer(rows.get('0/3/5')!);
  fake.answer(rows.get('0/3/6')!);
  await waitFor('the others get theirs', () => fake.rows().has('1/3/1'));
  t.same([...links.rowsOf(0)].map((row) => row > 0), [true, true, true, true]);
  links.stop();
});
