/**
 * Goal: what a wild write has made of a lane's rows is found by its next owner, costs those whose
 *   rows were hit and nobody else, and never ends in workers that die one after the other.
 * Method: the worker of lane 0 stands still, the test writes into shared memory, the worker is killed.
 */
import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Link, LaneHead, Request, Session, TableNumber } from '../../src/tables/columns.gen.js';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { FakeBackend } from '../support/fake-backend.js';
import { LaneMemory } from '../support/lane-memory.js';
import { Redis } from '../support/redis.js';
import { dice } from '../support/seed.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(800_000); // for the whole file, on a busy machine
t.jobs = 4; // much of the time is the pause before a worker that keeps dying is replaced

const servers = await Redis.startMany(t, 3);
const FD_BASE = 1024;
const LANES_MAX = 64;
const PATIENCE_MS = 20_000;

interface Seated {
  readonly client: Client;
  readonly lane: number;
  readonly row: number;
}

/** Which lane a client has come to, and its row there. */
async function seated(client: Client): Promise<Seated> {
  const line = String(await client.call('CLIENT', 'INFO'));
  const field = (name: string): number => Number(new RegExp(` ?${name}=(\\d+)`).exec(line)![1]);
  return { client, lane: (field('id') - 1) % LANES_MAX, row: field('fd') - FD_BASE };
}

/** Clients until each lane has at least `count`. */
async function seat(baton: Baton, count: number): Promise<[Seated[], Seated[]]> {
  const lanes: [Seated[], Seated[]] = [[], []];
  while (lanes.some((each) => each.length < count)) {
    const one = await seated(await baton.client());
    lanes[one.lane]!.push(one);
  }
  return lanes;
}

async function isServed({ client }: Seated): Promise<void> {
  const [set, get] = await client.pipeline([['SET', 'k', 'v'], ['GET', 'k']], PATIENCE_MS);
  if (`${set!.raw}${get!.raw}` !== '+OK\r\n$1\r\nv\r\n') throw new Error(`${set!.raw}${get!.raw}`);
}

/**
 * The worker of lane 0 is damaged while it stands still, and dies. Returns when another serves.
 * `isQuiet`: between turns, so that no before-image undoes it.
 */
async function damage(
  baton: Baton, write: (memory: LaneMemory) => void, isQuiet = true,
): Promise<void> {
  const victim = baton.workers()[0]!;
  const memory = LaneMemory.open(baton.memory, 0);
  await waitFor('the worker to stand still', () => {
    process.kill(victim, 'SIGSTOP');
    if (/^State:\tT/m.test(readFileSync(`/proc/${victim}/status`, 'utf8'))
      && (!isQuiet || memory.read(TableNumber.LaneHead, 0, LaneHead.JournalUsed) === 0)) return true;
    process.kill(victim, 'SIGCONT');
    return false;
  });
  write(memory);
  memory.close();
  process.kill(victim, 'SIGKILL');
  await waitFor('another worker', () =>
    baton.workers().length === 2 && baton.workers()[0] !== victim, PATIENCE_MS);
}

function start(t: Test): Promise<Baton> {
  return Baton.start(t, {
    servers, global: { worker_processes: 2 }, pool: { preconnect: true }, mayBeDamaged: true,
  });
}

function told(baton: Baton, event: string): number {
  return baton.log.split(`"event":"${event}"`).length - 1;
}

const BAD_SESSIONS: readonly (readonly [Session, number])[] = [
  [Session.State, 77], [Session.Fd, 3], [Session.Pool, -1], [Session.Flags, 1 << 20],
  [Session.RequestHead, 12], [Session.Requests, 3], [Session.InBytes, 100], [Session.OutBytes, -5],
  [Session.OutHead, 1 << 30], [Session.WholeBytes, 9], [Session.StalledOn, 1 << 20],
  [Session.ClientId * 2, 1], // the lower half of a double
];

t.test('sessions', { buffered: true }, async (t) => {
  const baton = await start(t);
  const [lane, others] = await seat(baton, BAD_SESSIONS.length + 5);
  await damage(baton, (memory) => {
    for (const [i, [column, value]] of BAD_SESSIONS.entries()) {
      if (column === Session.RequestHead) memory.write(TableNumber.Session, lane[i]!.row, Session.Requests, 1);
      if (column === Session.OutHead) memory.write(TableNumber.Session, lane[i]!.row, Session.OutBytes, 10);
      memory.write(TableNumber.Session, lane[i]!.row, column, value);
    }
  });
  for (const { client } of lane.slice(0, BAD_SESSIONS.length)) await client.closed();
  for (const one of [...lane.slice(BAD_SESSIONS.length), ...others]) await isServed(one);
  t.equal(await baton.metric('baton_lane_rows_damaged_total'), BAD_SESSIONS.length);
  t.ok(told(baton, 'row_damaged') > 0);
  t.equal(told(baton, 'lane_cold_start'), 0);
  await isServed(await seated(await baton.client()));
});

t.test('links, and requests on them', { buffered: true }, async (t) => {
  const held: { reply(bytes: Buffer): void }[] = [];
  const server = await FakeBackend.start(t, (request) => {
    if (String(request.args[0]) === 'held') held.push(request);
    else request.reply(Buffer.from('+here\r\n'));
  });
  const baton = await Baton.start(t, {
    servers: [server], global: { worker_processes: 2 }, pool: { preconnect: true },
    mayBeDamaged: true,
  });
  const [lane, others] = await seat(baton, 3);
  let count = 0;
  for (const [table, column, value] of [
    [TableNumber.Link, Link.State, 99], [TableNumber.Link, Link.Requests, 1 << 20],
    [TableNumber.Link, Link.RequestTail, 7], [TableNumber.Request, Request.LinkNext, -9],
    [TableNumber.Request, Request.Link, 2], [TableNumber.Link, Link.InBytes, 50],
  ] as const) {
    for (const { client } of lane.slice(0, 2)) client.push('*2\r\n$3\r\nGET\r\n$4\r\nheld\r\n');
    others[0]!.client.push('*2\r\n$3\r\nGET\r\n$4\r\nheld\r\n');
    await waitFor('three requests to be held', () => held.length === 3);
    await damage(baton, (memory) => {
      for (let row = 1; row < memory.top(table); row += 1) memory.write(table, row, column, value);
    });
    for (const { client } of lane.slice(0, 2)) {
      t.match((await client.reply(PATIENCE_MS)).raw.toString(), /^-ERR/, `an error, ${table} ${column}`);
    }
    for (const request of held.splice(0)) request.reply(Buffer.from('+late\r\n'));
    t.equal((await others[0]!.client.reply()).raw.toString(), '+late\r\n');
    for (const { client } of [...lane, ...others]) {
      await waitFor('the server to be had again', async () => {
        const reply = await client.command('GET', 'k');
        return reply.raw.toString() === '+here\r\n';
      }, PATIENCE_MS);
    }
    count += 1;
    t.ok(await baton.metric('baton_lane_rows_damaged_total') >= count);
  }
  t.equal(told(baton, 'lane_cold_start'), 0);
});

t.test('the head, the journal', { buffered: true }, async (t) => {
  const baton = await start(t);
  const others = (await seat(baton, 3))[1];
  let count = 0;
  for (const [column, value] of [[LaneHead.Guard, 1], [LaneHead.JournalUsed, 5],
    [LaneHead.JournalUsed, -100], [LaneHead.SessionTop, 1 << 30]] as const) {
    const [lane] = await seat(baton, 2);
    await damage(baton, (memory) => memory.write(TableNumber.LaneHead, 0, column, value));
    for (const { client } of lane) await client.closed();
    for (const one of others) await isServed(one);
    count += 1;
    await waitFor('it to be told', () => told(baton, 'lane_cold_start') === count);
    t.equal(await baton.metric('baton_lane_cold_starts_total'), count);
  }
  await isServed((await seat(baton, 1))[0][0]!);
});

t.test('garbage, everywhere', { buffered: true }, async (t) => {
  const baton = await start(t);
  const random = dice(t);
  const others = (await seat(baton, 4))[1];
  const tables = [TableNumber.LaneHead, TableNumber.Session, TableNumber.SessionInfo,
    TableNumber.Link, TableNumber.Request, TableNumber.Wire, TableNumber.Listener,
    TableNumber.Descriptor, TableNumber.Receipt];
  for (let round = 1; round <= 6; round += 1) {
    const [lane] = await seat(baton, 4);
    let isRunning = true;
    const load = lane.map(async ({ client }) => {
      while (isRunning && !client.isClosed) await client.call('INCR', 'n').catch(() => {});
    });
    await pause(random.between(5, 40)); // any moment
    const most = random.pick([1, 5, 30, 200]);
    await damage(baton, (memory) => {
      for (let i = random.between(1, most); i > 0; i -= 1) {
        const table = random.pick(tables);
        const row = random.below(memory.top(table));
        const value = random.pick([random.below(100), -random.below(100), random.below(2 ** 31) | 0]);
        memory.write(table, row, random.below(memory.wordsOf(table)), value);
      }
    }, false);
    isRunning = false;
    await Promise.race([Promise.all(load), pause(1000)]);
    for (const one of others) await isServed(one);
    await isServed((await seat(baton, 1))[0][0]!);
  }
  const deaths = baton.lanes()[0]!.restarts;
  t.ok(deaths <= 6 * 3, `${deaths} deaths by 6 rounds of garbage`);
  t.equal(baton.lanes()[1]!.restarts, 0, 'the other lane has its first worker');
});
