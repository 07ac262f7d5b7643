/**
 * Goal: CLIENT KILL closes whom it means in whichever lane they are, once, and nobody else: also
 *   when the worker that is told stands still, dies, or is replaced by a reload.
 * Method: two lanes; the message goes over a ring, which the lanes' counters show.
 */
import t, { type Test } from 'tap';
import { readFileSync } from 'node:fs';
import { Baton } from '../support/baton.js';
import { Client } from '../support/client.js';
import { reload } from '../support/hot-restart.js';
import { Redis } from '../support/redis.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000); // for the whole file, on a busy machine

const LANES_MAX = 64;
const redis = await Redis.start(t);

interface Seated {
  readonly client: Client;
  readonly id: number;
  readonly lane: number;
}

async function seated(t: Test, port: number): Promise<Seated> {
  const client = await Client.open(t, port);
  const id = Number(await client.call('CLIENT', 'ID'));
  return { client, id, lane: (id - 1) % LANES_MAX };
}

/** `count` clients in each lane. */
async function seat(t: Test, baton: Baton, count: number): Promise<[Seated[], Seated[]]> {
  const lanes: [Seated[], Seated[]] = [[], []];
  while (lanes.some((each) => each.length < count)) {
    const one = await seated(t, baton.port);
    const its = lanes[one.lane]!;
    if (its.length < count) its.push(one);
    else one.client.destroy();
  }
  return lanes;
}

const start = (t: Test, more = {}) => Baton.start(t, {
  servers: [redis], global: { worker_processes: 2, ...more },
  pools: { beta: { servers: [redis.entry] } },
});

async function isServed(t: Test, those: readonly Seated[]): Promise<void> {
  for (const { client } of those) t.equal(await client.call('SET', 'k', 'v'), 'OK');
}

t.test('by id and by address, in the same lane and in another', async (t) => {
  const baton = await start(t);
  const [here, there] = await seat(t, baton, 4);
  const { client } = here[0]!;
  t.equal(await client.call('CLIENT', 'KILL', 'ID', String(here[1]!.id)), 1);
  await here[1]!.client.closed();
  t.equal(await baton.metric('baton_lane_messages_sent_total'), 0, 'the same lane: no message');
  t.equal(await client.call('CLIENT', 'KILL', 'ID', String(there[0]!.id)), 1);
  await there[0]!.client.closed();
  t.equal(await client.call('CLIENT', 'KILL', `127.0.0.1:${there[1]!.client.localPort}`), 'OK');
  await there[1]!.client.closed();
  t.equal(await baton.metric('baton_lane_messages_sent_total'), 2);
  t.equal(await baton.metric('baton_lane_messages_received_total'), 2);
  const list = String(await client.call('CLIENT', 'LIST'));
  for (const { id } of [here[1]!, there[0]!, there[1]!]) t.notMatch(list, `id=${id} `);
  await isServed(t, [here[0]!, here[2]!, here[3]!, there[2]!, there[3]!]);
});

t.test('all of a pool but oneself, and none of another', async (t) => {
  const baton = await start(t);
  const [here, there] = await seat(t, baton, 5);
  const other = await seated(t, baton.ports['beta']!);
  const killed = [...here.slice(1), ...there];
  t.equal(await here[0]!.client.call('CLIENT', 'KILL', 'TYPE', 'normal'), killed.length);
  for (const { client } of killed) await client.closed();
  await isServed(t, [here[0]!, other]);
  t.equal(await here[0]!.client.call('CLIENT', 'KILL', 'ID', String(here[0]!.id), 'SKIPME', 'no'),
    1, 'the reply comes before the end');
  await here[0]!.client.closed();
});

t.test('a worker that stands still, and is killed: the next one does it, once', async (t) => {
  const baton = await start(t, { worker_hang_timeout: 0 });
  const [here, there] = await seat(t, baton, 40);
  const victims = there.slice(0, 30);
  const worker = baton.lanes().find(({ lane }) => lane === 1)!.owner!.pid;
  process.kill(worker, 'SIGSTOP');
  await waitFor('the worker to stand still', () =>
    /^State:\tT/m.test(readFileSync(`/proc/${worker}/status`, 'utf8')));
  for (const { id } of victims) {
    t.equal(await here[0]!.client.call('CLIENT', 'KILL', 'ID', String(id)), 1);
  }
  await waitFor('all to be sent', async () =>
    await baton.metric('baton_lane_messages_sent_total') === victims.length);
  t.notOk(victims.some(({ client }) => client.isClosed), 'nobody has heard of it yet');
  process.kill(worker, 'SIGKILL');
  for (const { client } of victims) await client.closed();
  await isServed(t, [...here, ...there.slice(30)]);
  t.equal(await baton.metric('baton_lane_messages_received_total'), victims.length);
});

t.test('in the midst of reloads', async (t) => {
  const baton = await start(t);
  const [here, there] = await seat(t, baton, 20);
  let isOver = false;
  const reloads = (async () => {
    while (!isOver) await reload(baton);
  })();
  const { client } = here[0]!;
  for (const victim of there.slice(0, 15)) {
    t.equal(await client.call('CLIENT', 'KILL', 'ID', String(victim.id)), 1);
    await victim.client.closed();
  }
  isOver = true;
  await reloads;
  await isServed(t, [...here, ...there.slice(15)]);
});
