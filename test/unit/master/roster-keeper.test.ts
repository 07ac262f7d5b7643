/**
 * Goal: what stays keeps its id over any number of reloads; an id never means two things in two
 *   rosters that follow each other, unless nothing of the first was left; nothing is forgotten
 *   while lanes use it.
 * Method: settings and what lanes use go in, rosters come out; at last random reloads.
 */
import t from 'tap';
import fc from 'fast-check';
import type { Roster } from '../../../src/config/roster.js';
import type { Settings } from '../../../src/config/settings.js';
import {
  backendIdentities, nextRoster, type PartsInUse, type Room,
} from '../../../src/master/roster-keeper.js';
import { settingsOf } from './conf.js';

const ROOM: Room = { pools: 8, backends: 16, listeners: 8 };

interface Used {
  clients?: readonly number[];
  links?: readonly number[];
  watched?: readonly number[];
}

function inUse({ clients = [], links = [], watched = [] }: Used): PartsInUse {
  return {
    hasClients: (id) => clients.includes(id),
    hasLinks: (id) => links.includes(id),
    isWatched: (id) => watched.includes(id),
  };
}

function next(
  before: Roster | null, settings: Settings, used: Used = {}, room = ROOM, keepsCounts = true,
): Roster {
  return nextRoster({ before, settings, inUse: inUse(used), room, keepsCounts });
}

/** `alpha#0: a#0 b#1 | -beta#1: …`, as the tests speak of rosters. */
function show({ pools }: Roster): string {
  const mark = (isRetired: boolean): string => (isRetired ? '-' : '');
  return pools.map(({ id, isRetired, settings, backends }) =>
    `${mark(isRetired)}${settings.name}#${id}: ${backends.map((backend) =>
      `${mark(backend.isRetired)}${backend.server.name}#${backend.id}`).join(' ')}`).join(' | ');
}

function showListeners({ listeners }: Roster): string {
  return listeners.map(({ id, key, pool, isRetired }) =>
    `${isRetired ? '-' : ''}${key}#${id}>${pool}`).join(' ');
}

const TWO = settingsOf('alpha@7000: a=1 b=2', 'beta@7001: c=3');

t.test('the first roster counts from zero', async (t) => {
  const first = next(null, TWO);
  t.equal(first.generation, 0);
  t.equal(show(first), 'beta#0: c#0 | alpha#1: a#1 b#2', 'in the order of the settings');
  t.equal(showListeners(first), '127.0.0.1:7001#0>0 127.0.0.1:7000#1>1');
  t.match(first.pools[1], { backends: [{ redisAuth: null, redisDb: 0 }, {}] });
  t.equal(first.settings, TWO);
});

t.test('a roster of the same settings is the same', async (t) => {
  const first = next(null, TWO);
  const second = next(first, TWO);
  t.equal(second.generation, 1);
  t.equal(show(second), show(first));
  t.equal(showListeners(second), showListeners(first));
});

t.test('the order of pools and servers does not matter', async (t) => {
  const first = next(null, settingsOf('alpha@7000: bb=2 cc=3', 'beta@7001: d=4'));
  const second = next(first, settingsOf('a@7002: e=5', 'alpha@7000: a=1 bb=2 cc=3', 'beta@7001: d=4'));
  t.equal(show(first), 'beta#0: d#0 | alpha#1: bb#1 cc#2');
  t.equal(show(second), 'a#2: e#3 | beta#0: d#0 | alpha#1: a#4 bb#1 cc#2');
  t.equal(showListeners(second),
    '127.0.0.1:7002#2>2 127.0.0.1:7001#0>0 127.0.0.1:7000#1>1');
});

t.test('another weight or hash is no other server', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1'));
  const changed = settingsOf('p@7000: a=1 {hash: md5, timeout: 5}');
  changed.pools[0]!.servers[0]!.weight = 7;
  const second = next(first, changed);
  t.equal(show(second), 'p#0: a#0');
  t.equal(second.pools[0]!.backends[0]!.server.weight, 7);
  t.equal(second.pools[0]!.settings.timeoutMs, 5);
});

t.test('another address, password or database is another backend', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1'));
  for (const other of ['p@7000: a=2', 'p@7000: a=1 {redis_auth: x}', 'p@7000: a=1 {redis_db: 1}']) {
    const second = next(first, settingsOf(other));
    t.equal(show(second), 'p#0: a#1 -a#0', other);
    t.equal(show(next(second, settingsOf('p@7000: a=1'))), 'p#0: a#0 -a#1', 'and back');
  }
});

t.test('a removed pool serves its last clients, then its servers go, then itself', async (t) => {
  const first = next(null, TWO);
  const only = settingsOf('alpha@7000: a=1 b=2');
  const second = next(first, only);
  t.equal(show(second), 'alpha#1: a#1 b#2 | -beta#0: c#0');
  t.equal(second.pools[1]!.settings.listen.text, '127.0.0.1:7001', 'as it was last');
  const third = next(second, only, { clients: [0], links: [0] });
  t.equal(show(third), show(second), 'while there are clients');
  const fourth = next(third, only, { links: [0] });
  t.equal(show(fourth), 'alpha#1: a#1 b#2 | -beta#0: -c#0', 'links may go');
  t.equal(show(next(fourth, only, { links: [0] })), show(fourth), 'while they owe something');
  t.equal(show(next(fourth, only)), 'alpha#1: a#1 b#2');
  t.equal(show(next(fourth, TWO)), 'beta#0: c#0 | alpha#1: a#1 b#2', 'it may come back');
});

t.test('a removed server stays for what it has counted', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1 b=2'));
  const second = next(first, settingsOf('p@7000: a=1'));
  t.equal(show(second), 'p#0: a#0 -b#1');
  t.equal(show(next(second, settingsOf('p@7000: a=1'))), 'p#0: a#0 -b#1');
  t.equal(show(next(second, settingsOf('p@7000: a=1 b=2'))), 'p#0: a#0 b#1');
  t.equal(show(next(second, settingsOf('p@7000: a=1'), { links: [1] }, ROOM, false)),
    'p#0: a#0 -b#1', 'in use');
  t.equal(show(next(second, settingsOf('p@7000: a=1'), {}, ROOM, false)), 'p#0: a#0');
});

t.test('ids: those the roster before does not name, then spare ones', async (t) => {
  const room = { ...ROOM, backends: 3 };
  const first = next(null, settingsOf('p@7000: a=1 b=2'), {}, room);
  const second = next(first, settingsOf('p@7000: a=1 c=3'), {}, room);
  t.equal(show(second), 'p#0: a#0 c#2 -b#1');
  const third = next(second, settingsOf('p@7000: a=1 d=4'), {}, room);
  t.equal(show(third), 'p#0: a#0 d#1 -c#2', 'b was retired and is not used');
  const fourth = next(third, settingsOf('p@7000: a=1 e=5'), { links: [2] }, room);
  t.equal(show(fourth), 'p#0: a#0 e#3 -d#1 -c#2', 'beyond the room when c is used');
});

t.test('an id of which lanes have something is not given, whoever named it', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1'));
  const both = settingsOf('p@7000: a=1', 'q@7001: b=2');
  const second = next(first, both, { clients: [1], links: [1, 2], watched: [1] });
  t.equal(show(second), 'p#0: a#0 | q#2: b#3');
  t.equal(showListeners(second), '127.0.0.1:7000#0>0 127.0.0.1:7001#2>2');
});

t.test('a listener stays, whichever pool it serves', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1', 'q@/tmp/x: b=1'));
  const second = next(first, settingsOf('p@/tmp/x: a=1', 'r@7000: b=1'));
  t.equal(showListeners(second), '/tmp/x#1>0 127.0.0.1:7000#0>2');
  t.same(second.listeners.map(({ isUnix }) => isUnix), [true, false]);
});

t.test('a removed listener is told to the lanes once, and as long as one watches it', async (t) => {
  const first = next(null, settingsOf('p@7000: a=1'));
  const moved = settingsOf('p@7001: a=1');
  const second = next(first, moved);
  t.equal(showListeners(second), '127.0.0.1:7001#1>0 -127.0.0.1:7000#0>0');
  t.equal(showListeners(next(second, moved, { watched: [0] })), showListeners(second));
  const third = next(second, moved);
  t.equal(showListeners(third), '127.0.0.1:7001#1>0');
  t.equal(showListeners(next(second, settingsOf('p@7000: a=1'))),
    '127.0.0.1:7000#0>0 -127.0.0.1:7001#1>0');
  t.equal(showListeners(next(third, settingsOf('p@7000: a=1'))),
    '127.0.0.1:7000#0>0 -127.0.0.1:7001#1>0', 'its id was free');
});

t.test('random reloads: ids are unique, stable and never shared with what is in use', async (t) => {
  const config = fc.uniqueArray(fc.record({
    name: fc.constantFrom('p', 'q', 'r', 's'), port: fc.integer({ min: 7000, max: 7003 }),
    servers: fc.uniqueArray(fc.record({
      name: fc.constantFrom('a', 'b', 'c'), port: fc.integer({ min: 1, max: 2 }),
    }), { minLength: 1, maxLength: 3, selector: ({ name }) => name }),
  }), { minLength: 1, maxLength: 3, selector: ({ name }) => name });
  const step = fc.record({
    pools: config, clients: fc.array(fc.nat(7)), links: fc.array(fc.nat(15)),
    watched: fc.array(fc.nat(7)),
  });
  const isFine = (before: Roster, after: Roster, used: Used): string => {
    const backends = after.pools.flatMap((pool) => pool.backends);
    for (const list of [after.pools, backends, after.listeners]) {
      if (new Set(list.map(({ id }) => id)).size !== list.length) return 'an id is there twice';
    }
    for (const pool of after.pools.filter(({ id }) => used.clients!.includes(id))) {
      const old = before.pools.find(({ id }) => id === pool.id)?.settings.name;
      if (old !== pool.settings.name) return `${pool.settings.name} got an id in use`;
    }
    const identities = new Set(after.pools.flatMap(backendIdentities));
    const ids = new Set(backends.map(({ id }) => id));
    for (const pool of before.pools) {
      for (const [index, identity] of backendIdentities(pool).entries()) {
        const { id, isRetired } = pool.backends[index]!;
        if (identities.has(identity)) continue;
        if (!isRetired || used.links!.includes(id)) return `${identity} is lost`;
        if (used.links!.includes(id) && ids.has(id)) return `${identity} is in use and reused`;
      }
      const same = after.pools.find(({ id }) => id === pool.id);
      if (same?.settings.name === pool.settings.name) continue;
      if (!pool.isRetired || used.clients!.includes(pool.id)) return `${pool.settings.name} is lost`;
    }
    for (const { id, key, isRetired } of before.listeners) {
      const same = after.listeners.find((each) => each.id === id);
      if (same?.key === key) continue;
      if (!isRetired || used.watched!.includes(id)) return `${key} is lost`;
    }
    return '';
  };
  t.doesNotThrow(() => fc.assert(fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
    let roster = next(null, settingsOf('p@7000: a=1'));
    for (const { pools, ...used } of steps) {
      const ports = new Set<number>();
      const texts = pools.map(({ name, port, servers }) => {
        while (ports.has(port)) port++;
        ports.add(port);
        return `${name}@${port}: ${servers.map((each) => `${each.name}=${each.port}`).join(' ')}`;
      });
      const after = next(roster, settingsOf(...texts), used);
      const wrong = isFine(roster, after, used);
      if (wrong !== '') throw new Error(`${wrong}: ${show(roster)} → ${show(after)}`);
      roster = after;
    }
  }), { numRuns: 300 }));
});

t.test('where shared links live, and since when a server has its id', async (t) => {
  const share = (settings: Settings): Settings => ({
    ...settings,
    global: { ...settings.global, workerProcesses: 4 },
    pools: settings.pools.map((pool) => ({ ...pool, serverConnectionsScope: 'proxy' })),
  });
  const first = next(null, TWO);
  t.equal(first.homes, undefined, 'nothing is shared');
  const shared = next(next(null, { ...TWO, global: { ...TWO.global, workerProcesses: 3 } }), share(TWO));
  t.equal(shared.homes, 3, 'among the lanes that there are, whatever the reload adds');
  t.equal(next(shared, share(TWO)).homes, 3, 'no reload changes it');
  const more = next(next(null, share(TWO)), share(settingsOf('alpha@7000: a=1 b=2 d=4', 'beta@7001: c=3')));
  t.equal(more.homes, 4);
  t.same(more.pools.flatMap(({ backends }) => backends.map(({ server, since }) =>
    [server.name, since ?? 0])).sort(), [['a', 0], ['b', 0], ['c', 0], ['d', 1]]);
});
