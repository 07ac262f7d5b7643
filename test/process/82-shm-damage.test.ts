/**
 * Goal: `baton shm --check` finds what a wild write has made of an instance that is served, names
 *   the place, and says nothing of the lane beside it; in the midst of a turn it speaks of the last
 *   commit.
 * Method: the worker of lane 0 stands still, the test writes into shared memory, looks, and puts
 *   everything right again: nobody but the look may notice.
 */
import t, { type Test } from 'tap';
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { tables } from '../../src/shm/layout.js';
import { Head } from '../../src/shm/head.js';
import {
  Batch, Lane, LaneHead, Link, Request, Ring, Session, Superblock, TableNumber, Worker,
} from '../../src/tables/columns.gen.js';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { runBaton, type Ended } from '../support/command.js';
import { isFlawless } from '../support/exact-load.js';
import { FakeBackend } from '../support/fake-backend.js';
import { LaneMemory } from '../support/lane-memory.js';
import { isStopped } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { startUnderLoad } from '../support/under-load.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const REST = 'lane 1: nothing found';
const OPEN = 'lane 0: nothing found in its rows; it never rested: counts and free units were not compared';

function check(baton: Baton): Promise<Ended> {
  return runBaton(['shm', '-p', baton.pidFile, '--check'], baton.directory);
}

/** The worker of lane 0 stands still where `holds` says. */
async function still(baton: Baton, what: string, holds: (memory: LaneMemory) => boolean): Promise<number> {
  const worker = baton.workers()[0]!;
  const memory = LaneMemory.open(baton.memory, 0);
  await waitFor(what, async () => {
    process.kill(worker, 'SIGSTOP');
    await waitFor('it to stand still', () => isStopped(worker));
    if (holds(memory)) return true;
    process.kill(worker, 'SIGCONT');
    return false;
  });
  memory.close();
  return worker;
}

/** A word of shared memory, by its place in the object. */
class Word {
  readonly #fd: number;
  readonly #was: Buffer;

  constructor(path: string, readonly at: number) {
    this.#fd = openSync(path, 'r+');
    this.#was = Buffer.alloc(4);
    readSync(this.#fd, this.#was, 0, 4, at);
  }

  get was(): number {
    return this.#was.readInt32LE();
  }

  write(value: number): void {
    writeSync(this.#fd, Int32Array.of(value), 0, 4, this.at);
  }

  restore(): void {
    writeSync(this.#fd, this.#was, 0, 4, this.at);
    closeSync(this.#fd);
  }
}

function wordAt(baton: Baton, table: TableNumber, row: number, column: number): Word {
  const fd = openSync(baton.memory, 'r');
  const { plan } = Head.read(fd);
  closeSync(fd);
  const base = tables[table]!.scope === 'lane' ? plan.laneBase[0]! : 0;
  const at = base + plan.tableBase[table]! + row * tables[table]!.rowBytes + column * 4;
  return new Word(baton.memory, at);
}

/** One request is at the server and will not be answered; three sessions in lane 0. */
async function start(t: Test): Promise<{ baton: Baton; release: () => void }> {
  const held: { reply(bytes: string): void }[] = [];
  const server = await FakeBackend.start(t, (request) => {
    if (request.name === 'GET') held.push(request);
    else request.reply('+OK\r\n');
  });
  const baton = await Baton.start(t, {
    servers: [server], global: { worker_processes: 2, worker_hang_timeout: 0 },
    pool: { preconnect: true },
  });
  const clients: Client[] = [];
  while (baton.lanes().length < 2 || clients.length < 3) {
    const client = await baton.client();
    if ((Number(await client.call('CLIENT', 'ID')) - 1) % 64 === 0) clients.push(client);
    else client.destroy();
  }
  clients[0]!.push('*2\r\n$3\r\nGET\r\n$1\r\na\r\n');
  clients[1]!.push('*2\r\n$3\r\nGET\r\n$9\r\nhalf');
  await waitFor('the server to have it', () => held.length === 1);
  return {
    baton,
    release: () => {
      held[0]!.reply('+late\r\n');
      clients.forEach((client) => client.destroy());
    },
  };
}

/** Row -1: the first batch of nodes that lane 0 holds. */
type Damage = readonly [TableNumber, number, number, number | ((was: number) => number), RegExp];

const DAMAGES: readonly Damage[] = [
  [TableNumber.Session, 1, Session.Pool, 1000, /^lane 0: session 1: its pool$/m],
  [TableNumber.Session, 1, Session.State, 77, /^lane 0: session 1: its state$/m],
  [TableNumber.Session, 1, Session.Requests, 1 << 30, /^lane 0: session 1: /m],
  [TableNumber.Link, 1, Link.Fd, 3, /^lane 0: link 1: its descriptor$/m],
  [TableNumber.Request, 1, Request.Link, 2, /^lane 0: link 1: a request of another link$/m],
  [TableNumber.Ring, 1, Ring.OverflowBytes, 7, /^lane 0: ring 1: its overflow$/m],
  [TableNumber.Ring, 1, Ring.Taken / 4, 9, /^instance: ring from 1 to 0: 9 messages are taken of 0$/m],
  [TableNumber.LaneHead, 0, LaneHead.Guard, 1, /^lane 0: its head: the guard$/m],
  [TableNumber.LaneHead, 0, LaneHead.SessionTop, 1 << 30, /^lane 0: its head: how many rows /m],
  [TableNumber.LaneHead, 0, LaneHead.JournalUsed, 4, /^lane 0: its journal$/m],
  [TableNumber.LaneHead, 0, LaneHead.SessionsOpen, 9, /^lane 0: -\d sessions open but not counted$/m],
  [TableNumber.LaneHead, 0, LaneHead.LinksOpen, 5, /^lane 0: 4 links too many counted$/m],
  [TableNumber.Batch, -1, Batch.Free / 4, (was) => was & ~(1 << 20),
    /^lane 0: 1 nodes whose free bit is wrong$/m],
  [TableNumber.Batch, -1, Batch.Owner, 60, /^instance: batch \d: its owner is lane 59$/m],
  [TableNumber.Lane, 0, Lane.Keeper, -5, /^instance: lane 0: its keeper is worker -5's$/m],
  [TableNumber.Lane, 0, Lane.Owner, (was) => was + 4 * 200,
    /^instance: lane 0: its owner, worker 20\d, has a free row$/m],
  [TableNumber.Lane, 0, Lane.PoolBytes * 2 + 1, 1 << 20, /^instance: lane 0: it books .* of nodes /m],
  [TableNumber.Worker, 200, Worker.State, 77, /^instance: worker 200: its state is 77$/m],
  [TableNumber.Superblock, 0, Superblock.Chunks, 5, /^instance: superblock: chunks is 5, should be /m],
  [TableNumber.Directory, 3, 12, 99, /^instance: directory: the columns of superblock are not /m],
];

t.test('each is found and named', async (t) => {
  const { baton, release } = await start(t);
  const worker = await still(baton, 'it to sleep, with nothing open', (memory) =>
    memory.read(TableNumber.LaneHead, 0, LaneHead.JournalUsed) === 0
      && memory.read(TableNumber.LaneHead, 0, LaneHead.RequestsOpen) === 1
      && wordAt(baton, TableNumber.Lane, 0, Lane.Sleeping).was === 1);
  t.match(await check(baton), { code: 0, out: /^lane 0: nothing found$/m });
  let batch = 0;
  while (wordAt(baton, TableNumber.Batch, batch, Batch.Owner).was !== 1) batch += 1;
  for (const [table, row, column, value, expected] of DAMAGES) {
    const word = wordAt(baton, table, row < 0 ? batch : row, column);
    word.write(typeof value === 'number' ? value : value(word.was));
    const { code, out, err } = await check(baton);
    word.restore();
    t.equal(err, '');
    t.equal(code, 1);
    t.match(out, expected);
    const isLost = table === TableNumber.Superblock;
    const isShared = table === TableNumber.Ring; // lane 1 sees it from its end
    if (!isLost && !isShared) t.match(out, REST, 'the lane beside it is sound');
  }
  t.match(await check(baton), { code: 0, out: /^lane 0: nothing found$/m }, 'all is as it was');
  process.kill(worker, 'SIGCONT');
  release();
});

t.test('in the midst of a turn', async (t) => {
  const { baton, load } = await startUnderLoad(t, await Redis.startMany(t, 3), {
    global: { worker_processes: 2, worker_hang_timeout: 0 },
  });
  const awake = (memory: LaneMemory): boolean =>
    memory.read(TableNumber.LaneHead, 0, LaneHead.JournalUsed) > 0
      && wordAt(baton, TableNumber.Lane, 0, Lane.Sleeping).was === 0;
  for (let round = 0; round < 3; round += 1) {
    const worker = await still(baton, 'it to be in a turn', awake);
    const calm = await check(baton);
    t.match(calm.out, OPEN);
    t.equal(calm.code, 0, calm.out);
    const word = wordAt(baton, TableNumber.Link, 1, Link.Protocol);
    word.write(9);
    t.match(await check(baton), { code: 1, out: /^lane 0: link 1: its protocol$/m });
    word.restore();
    process.kill(worker, 'SIGCONT');
    await load.round();
  }
  isFlawless(t, await load.finish());
});
