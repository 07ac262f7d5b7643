/**
 * Goal: a link whose server has its home in another lane is opened there as soon as that lane can be
 *   asked, counts nothing for its server, and gives way when the scope changes.
 * Method: as in link-set.test.ts, with homes as the test says.
 */
import t from 'tap';
import { OWN, type RelayHomes } from '../../../src/proxy/relay-homes.js';
import { LinkFlag, LinkState } from '../../../src/shm/codes.js';
import { BackendCounter, Link } from '../../../src/tables/columns.gen.js';
import { waitFor } from '../../support/wait-for.js';
import { FakeLinks, rosterOf } from './fake-links.js';

const ECONNRESET = 104;
const ROSTER = rosterOf([{ id: 0, servers: ['a', 'b'], ids: [3, 5] }]);

/** Server 3 is at home in lane 2, server 5 here. */
class Homes implements RelayHomes {
  isThere = false;
  homeOf = (_: unknown, { id }: { readonly id: number }): number => (id === 3 ? 2 : OWN);
  isReady = (home: number): boolean => home === 2 && this.isThere;
}

t.test('it waits for its home lane, and is up at once then', async (t) => {
  const fake = new FakeLinks();
  const homes = new Homes();
  const links = fake.owner(ROSTER, homes);
  links.adopt();
  links.start();
  const row = fake.rows().get('3/2/0')!;
  t.equal(fake.word(row, Link.Home), 3);
  t.equal(fake.word(fake.rows().get('5/2/0')!, Link.Home), 0);
  fake.take();
  t.ok(links.prepare(row), 'requests may wait in its queue');
  t.same(fake.take(), [`resolving ${row}`], 'no connect');
  homes.isThere = true;
  await waitFor('the relay', () => links.isUp(row));
  t.same(fake.take(), [`relay ${row}`, `open ${row}`], 'nothing is said before the first request');
  links.stop();
});

t.test('what another lane asks leaves by links of this lane only', async (t) => {
  const fake = new FakeLinks();
  const links = fake.owner(ROSTER, new Homes());
  links.adopt();
  t.equal(links.ownRow(5 * 1024, 0), fake.rows().get('5/2/0'));
  t.equal(links.ownRow(5 * 1024, 1), fake.rows().get('5/3/0'));
  t.equal(links.ownRow(5 * 1024 + 7, 0), fake.rows().get('5/2/0'), 'a place that there is not here');
  t.equal(links.ownRow(3 * 1024, 0), 0, 'never back into a ring');
});

t.test('one that is lost counts nothing, is told once, and is opened again', async (t) => {
  const fake = new FakeLinks();
  const homes = new Homes();
  homes.isThere = true;
  const links = fake.owner(ROSTER, homes);
  links.adopt();
  links.start();
  const row = fake.rows().get('3/2/0')!;
  links.prepare(row);
  fake.take();
  fake.set(row, Link.Replies, 1);
  fake.set(row, Link.State, LinkState.Down);
  fake.set(row, Link.Flags, LinkFlag.Untold);
  t.ok(links.prepare(row), 'what is asked before the loss is told waits');
  t.same(fake.take(), []);
  links.onLost(row, ECONNRESET);
  t.match(fake.take(), [/^lose /, `relay ${row}`, `open ${row}`]);
  t.same(fake.changes, [], 'its home lane tells of the server');
  const counter = fake.view.backendCounter + 3 * BackendCounter.RowDoubles;
  t.equal(fake.view.doubles[counter + BackendCounter.Failures], 0);
  t.equal(fake.view.doubles[counter + BackendCounter.ServerErr], 0);
  links.stop();
});

t.test('a change of scope: the relay leaves, a link of its own takes its place', async (t) => {
  const fake = new FakeLinks();
  fake.owner(ROSTER, new Homes()).adopt();
  const relay = fake.rows().get('3/2/0')!;
  const links = fake.owner(ROSTER);
  links.adopt();
  const own = links.rowsOf(0)[0]!;
  t.not(own, relay);
  t.ok(fake.isLeaving(relay));
  t.equal(fake.word(own, Link.Home), 0);
  t.equal(links.ownRow(3 * 1024, 0), own);
});
