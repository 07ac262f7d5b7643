/**
 * Goal: a client's requests keep their order while the links that they use change, and nobody
 *   waits who need not.
 * Method: Dispatch decides about requests on a lane in memory of the test; what it decided is read
 *   from the plans. Replies come when the test says so.
 */
import t from 'tap';
import { native } from '../../../src/native/binding.js';
import { commandId } from '../../../src/protocol/command-table.js';
import { Dispatch } from '../../../src/proxy/dispatch.js';
import type { LaneEvents } from '../../../src/proxy/lane-events.js';
import type { LinkSet } from '../../../src/proxy/link-set.js';
import { PoolRoute } from '../../../src/proxy/pool-route.js';
import { SessionDesk } from '../../../src/proxy/session-desk.js';
import type { Roster } from '../../../src/config/roster.js';
import { RouteKind, RouteWord } from '../../../src/routing/route-table.js';
import { LinkState, Operation } from '../../../src/shm/codes.js';
import { Descriptor, Link } from '../../../src/tables/columns.gen.js';
import { waitFor } from '../../support/wait-for.js';
import { FakeProxy } from './local-facts.js';
import { FakeLinks, rosterOf } from './fake-links.js';

const EVENTS: LaneEvents = {
  onSessionClosed: () => {}, onBrokenRequest: () => {}, onAcceptFailed: () => {},
  onClientRefused: () => {}, onPoisonedRequest: () => {},
};

/** One server: everything goes to it. */
const SINGLE = new Int32Array(RouteWord.Body);
SINGLE[RouteWord.Kind] = RouteKind.Single;

class Decider {
  readonly route: PoolRoute;
  readonly applied: number[] = [];
  readonly #dispatch: Dispatch;

  constructor(private readonly fake: FakeLinks, links: LinkSet, roster: Roster) {
    const row = { hashKind: 0, tagOpen: -1, tagClose: -1, routeBase: 0, generationWords: 0 };
    this.route = new PoolRoute(0, roster.pools[0]!.settings, row, links.rowsOf(0), SINGLE);
    links.use([this.route]);
    const desk = new SessionDesk(fake.view, 0, () => roster.pools[0]!.settings);
    this.#dispatch = new Dispatch(
      fake.view, [this.route], links, desk, new FakeProxy([]), EVENTS, 256,
    );
    native.laneApply = (decided) => { this.applied.push(decided); };
  }

  /** The plan for one request of a session: a link, or an operation's name. */
  ask(session: number, ...words: string[]): string {
    this.fake.lane.beginTurn();
    const at = this.fake.lane.frame({
      session, pool: 0, command: commandId(words[0]!),
      hashes: Int32Array.from(words.slice(1), () => 1),
      words: words.map((word) => Buffer.from(word)),
    });
    this.#dispatch.decide();
    const plan = this.fake.view.words[at + Descriptor.Plan]!;
    if (plan >= 0) return `link ${plan}`;
    const operation = this.fake.view.words[this.fake.view.operation + ~plan];
    return operation === Operation.Wait ? 'wait' : `operation ${operation}`;
  }
}

function allUp(fake: FakeLinks): void {
  for (const row of fake.rows().values()) fake.set(row, Link.State, LinkState.Up);
}

function wide(connections: number): Roster {
  return rosterOf([
    { id: 0, servers: ['a'], ids: [0], directives: [`server_connections: ${connections}`] },
  ]);
}

t.test('a client with requests on a link it would not use any more waits', async (t) => {
  const fake = new FakeLinks();
  fake.owner(wide(1)).adopt();
  allUp(fake);
  const old = fake.rows().get('0/2/0')!;
  fake.ask(old, 4);
  fake.ask(old, 5);
  const roster = wide(2);
  const links = fake.owner(roster);
  links.adopt();
  allUp(fake);
  const decider = new Decider(fake, links, roster);
  const [first, second] = [links.rowsOf(0)[0]!, links.rowsOf(0)[1]!];
  t.equal(first, old, 'the link of before is the one of even sessions');
  t.equal(decider.ask(4, 'get', 'k'), `link ${old}`, 'a client that stays need not wait');
  t.equal(decider.ask(5, 'get', 'k'), 'wait', 'one that would go elsewhere must');
  t.equal(decider.ask(5, 'mget', 'k', 'k'), 'wait', 'with whatever it asks');
  t.same(decider.applied.length, 2, 'what it asked just before counts');
  t.equal(decider.ask(7, 'get', 'k'), `link ${second}`, 'others go on');
  fake.answer(old);
  t.equal(decider.ask(5, 'get', 'k'), `link ${second}`, 'all is answered: it goes on');
  links.start();
  t.notOk(decider.route.isHeld, 'and the fast path is open again');
  t.equal(decider.route.gate, decider.route.queueLimit);
  links.stop();
});

t.test('the gate opens by itself when those who wait ask nothing more', async (t) => {
  const fake = new FakeLinks();
  fake.owner(wide(2)).adopt();
  allUp(fake);
  const leaves = fake.rows().get('0/2/1')!;
  fake.ask(leaves, 5);
  const roster = wide(1);
  const links = fake.owner(roster);
  links.adopt();
  const decider = new Decider(fake, links, roster);
  links.start();
  t.ok(decider.route.isHeld);
  t.equal(decider.ask(5, 'get', 'k'), 'wait');
  fake.answer(leaves);
  await waitFor('the gate opens', () => !decider.route.isHeld);
  t.equal(links.leftOver(), 0, 'the link has left');
  links.stop();
});

t.test('the next owner knows from rows who waits', async (t) => {
  const fake = new FakeLinks();
  fake.owner(wide(1)).adopt();
  allUp(fake);
  fake.ask(fake.rows().get('0/2/0')!, 5);
  const roster = wide(2);
  fake.owner(roster).adopt();
  allUp(fake);
  const links = fake.owner(roster);
  links.adopt();
  t.equal(new Decider(fake, links, roster).ask(5, 'get', 'k'), 'wait');
  links.stop();
});

t.test('a full link stalls, whether the gate is held or not', async (t) => {
  const fake = new FakeLinks();
  const roster = wide(1);
  const links = fake.owner(roster);
  links.adopt();
  allUp(fake);
  const decider = new Decider(fake, links, roster);
  fake.set(links.rowsOf(0)[0]!, Link.OutBytes, decider.route.queueLimit + 1);
  t.equal(decider.ask(5, 'get', 'k'), `operation ${Operation.Stall}`);
  decider.route.hold(true);
  t.equal(decider.ask(5, 'get', 'k'), `operation ${Operation.Stall}`);
});
