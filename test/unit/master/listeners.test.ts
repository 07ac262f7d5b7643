/**
 * Goal: sockets are opened before anything changes, stay for as long as anybody may need them, and
 *   pass from master to master; nobody else's port or file is taken.
 * Method: real sockets; the test is the client, and plays both masters in one process.
 */
import t, { type Test } from 'tap';
import { once } from 'node:events';
import { existsSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { OperatorError } from '../../../src/base/errors.js';
import type { Roster } from '../../../src/config/roster.js';
import type { Settings } from '../../../src/config/settings.js';
import { Listeners } from '../../../src/master/listeners.js';
import { nextRoster } from '../../../src/master/roster-keeper.js';
import { native } from '../../../src/native/binding.js';
import { freePort } from '../../support/free-port.js';
import { scratch } from '../../support/scratch.js';
import { settingsOf } from './conf.js';

const ROOM = { pools: 8, backends: 8, listeners: 8 };

function rosterOf(
  settings: Settings, before: Roster | null = null, watched: readonly number[] = [],
): Roster {
  const inUse = {
    hasClients: () => false, hasLinks: () => false, isWatched: (id: number) => watched.includes(id),
  };
  return nextRoster({ settings, before, inUse, room: ROOM, keepsCounts: true });
}

class House {
  readonly lines: string[] = [];
  readonly listeners: Listeners;

  constructor(t: Test) {
    const tell = (event: string, facts: object): void => {
      this.lines.push(`${event} ${(facts as { pool: string }).pool}`);
    };
    this.listeners = new Listeners({ info: tell, warn: tell });
    t.teardown(() => this.listeners.close());
  }

  open(roster: Roster, lanes = 2): Roster {
    this.listeners.change(roster, lanes).finish();
    return roster;
  }

  /** Listener id and how many sockets. */
  get shape(): string[] {
    return this.listeners.describe().map(({ id, fds }) => `${id}:${fds.length}`);
  }
}

async function isOpen(where: number | string): Promise<boolean> {
  const socket = typeof where === 'string' ? connect(where) : connect(where, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

t.test('a socket per lane, one for all, and unix sockets', async (t) => {
  const [own, shared, path] = [await freePort(), await freePort(), join(scratch(t), 's')];
  const house = new House(t);
  house.open(rosterOf(settingsOf(`p@${own}: a=1`, `q@${path}: a=1`, `r@${shared}: a=1 {reuseport: off}`)));
  t.same(house.shape, ['0:2', '1:1', '2:1']);
  const [first, second] = [house.listeners.of(0), house.listeners.of(1)];
  t.same(first.map(({ id }) => id), [0, 1, 2]);
  t.not(first[0]!.fd, second[0]!.fd);
  t.equal(first[1]!.fd, second[1]!.fd);
  t.equal(first[2]!.fd, second[2]!.fd);
  for (const where of [own, shared, path]) t.ok(await isOpen(where));
  house.listeners.close();
  for (const where of [own, shared, path]) t.notOk(await isOpen(where));
  t.notOk(existsSync(path));
});

t.test('what cannot be had is told, and nothing stays open', async (t) => {
  const busy = createServer().listen(0, '127.0.0.1');
  await once(busy, 'listening');
  t.teardown(() => busy.close());
  const { port } = busy.address() as { port: number };
  const [free, path] = [await freePort(), join(scratch(t), 'file')];
  writeFileSync(path, 'precious');
  const house = new House(t);
  const roster = rosterOf(settingsOf(`a@${free}: a=1`, `p@${port}: a=1`, `q@${path}: a=1`));
  const error = t.throws(() => house.listeners.change(roster, 2)) as OperatorError;
  t.match(error.lines, [
    new RegExp(`^test\\.yml:\\d+:1: listen: 127\\.0\\.0\\.1:${port}: address already in use$`),
    /: listen: .*file: address already in use$/,
  ]);
  t.same(house.shape, []);
  t.notOk(await isOpen(free));
  t.ok(existsSync(path), 'a file is nobody\'s socket');
});

t.test('another process with SO_REUSEPORT is noticed', async (t) => {
  const house = new House(t);
  const roster = rosterOf(settingsOf(`p@${await freePort()}: a=1`));
  house.open(roster);
  t.throws(() => new House(t).open(roster), OperatorError);
  t.same(house.shape, ['0:2']);
});

t.test('a reload keeps sockets and opens what is new', async (t) => {
  const [one, two] = [await freePort(), await freePort()];
  const house = new House(t);
  const before = house.open(rosterOf(settingsOf(`p@${one}: a=1`)));
  const kept = house.listeners.of(0);
  house.open(rosterOf(settingsOf(`p@${one}: a=1`, `q@${two}: a=1`), before));
  t.same(house.listeners.of(0).slice(0, 1), kept);
  t.same(house.shape, ['0:2', '1:2']);
  t.same(house.lines, ['listening p', 'listening q']);
});

t.test('undo closes what was new', async (t) => {
  const [one, two, path] = [await freePort(), await freePort(), join(scratch(t), 's')];
  const house = new House(t);
  const before = house.open(rosterOf(settingsOf(`p@${one}: a=1`)));
  const kept = house.listeners.of(0);
  const change = house.listeners.change(
    rosterOf(settingsOf(`q@${two}: a=1`, `r@${path}: a=1`), before), 3);
  t.same(house.shape, ['1:3', '2:1', '0:2'], 'the old one is retired');
  change.undo();
  t.same(house.listeners.of(0), kept);
  t.ok(await isOpen(one));
  t.notOk(await isOpen(two));
  t.notOk(existsSync(path));
});

t.test('lanes that are added get sockets, and lose them by undo', async (t) => {
  const [own, shared] = [await freePort(), await freePort()];
  const house = new House(t);
  const settings = settingsOf(`p@${own}: a=1`, `r@${shared}: a=1 {reuseport: off}`);
  const before = house.open(rosterOf(settings));
  const kept = house.listeners.of(1);
  house.listeners.change(rosterOf(settings, before), 3).undo();
  t.same(house.shape, ['0:2', '1:1']);
  house.open(rosterOf(settings, before), 3);
  t.same(house.shape, ['0:3', '1:1']);
  t.same(house.listeners.of(1), kept);
});

t.test('a retired listener stays open until no lane watches it', async (t) => {
  const [one, two] = [await freePort(), await freePort()];
  const house = new House(t);
  const first = house.open(rosterOf(settingsOf(`p@${one}: a=1`)));
  house.open(rosterOf(settingsOf(`p@${two}: a=1`), first));
  t.same(house.listeners.of(0).map(({ id }) => id), [1, 0], 'lanes get it, to stop watching it');
  house.listeners.drop((id) => id === 0);
  t.ok(await isOpen(one));
  house.listeners.drop(() => false);
  t.notOk(await isOpen(one));
  t.same(house.listeners.of(0).map(({ id }) => id), [1]);
  house.listeners.drop(() => false);
  t.same(house.lines, ['listening p', 'listening p', 'listener_closed p']);
});

t.test('one that is back in time never closed', async (t) => {
  const [one, two] = [await freePort(), await freePort()];
  const house = new House(t);
  const first = house.open(rosterOf(settingsOf(`p@${one}: a=1`)));
  const kept = house.listeners.of(0)[0]!;
  const second = house.open(rosterOf(settingsOf(`p@${two}: a=1`), first));
  house.open(rosterOf(settingsOf(`p@${one}: a=1`), second, [0]));
  t.same(house.listeners.of(0)[0], kept);
  house.listeners.drop((id) => id === 0);
  t.ok(await isOpen(one));
  t.notOk(await isOpen(two));
});

t.test('what the roster has forgotten is closed when it is followed', async (t) => {
  const [one, two] = [await freePort(), await freePort()];
  const house = new House(t);
  const first = house.open(rosterOf(settingsOf(`p@${one}: a=1`)));
  const second = house.open(rosterOf(settingsOf(`p@${two}: a=1`), first));
  const change = house.listeners.change(rosterOf(settingsOf(`p@${two}: a=1`), second), 2);
  t.same(house.shape, ['1:2'], 'its id may be another\'s now');
  t.ok(await isOpen(one));
  change.finish();
  t.notOk(await isOpen(one));
});

t.test('options of a socket that stays follow the settings', async (t) => {
  const path = join(scratch(t), 's');
  const house = new House(t);
  const settings = settingsOf(`p@${path}: a=1`);
  const first = house.open(rosterOf(settings));
  const changed = structuredClone(settings);
  changed.pools[0]!.listen = { kind: 'unix', path, mode: 0o640, text: `${path} 0640` };
  house.open(rosterOf(changed, first));
  t.equal(statSync(path).mode & 0o777, 0o640);
});

t.test('another master goes on with the sockets', async (t) => {
  const [port, path] = [await freePort(), join(scratch(t), 's')];
  const [old, young] = [new House(t), new House(t)];
  const settings = settingsOf(`p@${port}: a=1`, `q@${path}: a=1`);
  const first = old.open(rosterOf(settings));
  const handed = old.listeners.describe().map((each) =>
    ({ ...each, fds: each.fds.map((fd) => native.socketDuplicate(fd)) }));
  young.listeners.inherit(JSON.parse(JSON.stringify(handed)));
  young.open(rosterOf(settings, first), 3);
  t.same(young.shape, ['0:3', '1:1']);
  t.same(young.lines, [], 'nothing was opened but a socket for the third lane');

  young.listeners.release();
  t.ok(await isOpen(port));
  t.ok(await isOpen(path), 'the old one has them still');
  young.listeners.inherit(old.listeners.describe().map((each) =>
    ({ ...each, fds: each.fds.map((fd) => native.socketDuplicate(fd)) })));
  young.open(rosterOf(settings, first));
  old.listeners.release();
  t.ok(await isOpen(port));
  t.ok(await isOpen(path), 'its file is still there');
  young.listeners.close();
  t.notOk(await isOpen(port));
  t.notOk(existsSync(path));
});

t.test('a dead one\'s file is replaced; one that is another\'s by now is left alone', async (t) => {
  const path = join(scratch(t), 's');
  const roster = rosterOf(settingsOf(`p@${path}: a=1`));
  const dead = new House(t);
  dead.open(roster);
  for (const { fds } of dead.listeners.describe()) fds.forEach((fd) => native.socketClose(fd));
  dead.listeners.inherit([]);
  const house = new House(t);
  house.open(roster);
  t.ok(await isOpen(path));

  renameSync(path, `${path}.away`);
  const other = new House(t);
  other.open(roster);
  house.listeners.close();
  t.ok(await isOpen(path));
});
