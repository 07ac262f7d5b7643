/**
 * Goal: `timeout` counts from a request's arrival; a hung server delays only what was sent to it,
 *   and a reply that comes too late is thrown away, never given to another request.
 * Method: a real Redis is frozen and thawed under load; a scripted server holds replies back and
 *   lets them go one by one.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import type { Client } from '../support/client.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { Redis } from '../support/redis.js';
import { errorText, plain, show, type Reply } from '../support/resp.js';
import { dice } from '../support/seed.js';
import { pass, waitFor } from '../support/wait-for.js';

const TIMEOUT_MS = 250;
const isTimeout = (reply: Reply): boolean => /timed? ?out/i.test(errorText(reply));
const echo = (request: Received): void => {
  request.reply(`$${request.args[0]!.length}\r\n${request.args[0]!.toString()}\r\n`);
};

t.test('a frozen server: its requests fail in time, other servers serve', async (t) => {
  const [frozen, lively] = await Redis.startMany(t, 2) as [Redis, Redis];
  const baton = await Baton.start(t, {
    servers: [frozen, lively],
    pool: { timeout: TIMEOUT_MS, distribution: 'modula', hash: 'md5' },
  });
  const client = await baton.client();
  const keys = Array.from({ length: 60 }, (_, i) => `k${i}`);
  await client.pipeline(keys.map((key) => ['SET', key, key]));
  frozen.freeze();
  t.teardown(() => frozen.thaw());
  const began = performance.now();
  const replies = await client.pipeline(keys.map((key) => ['GET', key]));
  const took = performance.now() - began;
  const late = replies.filter(isTimeout).length;
  t.ok(late > 10 && late < 50, `${late} of 60 timed out`);
  t.equal(replies.filter((reply, i) => plain(reply) === keys[i]).length, 60 - late);
  t.ok(took >= TIMEOUT_MS - 10 && took < TIMEOUT_MS * 4, `after ${Math.round(took)} ms`);
  const alive = keys.filter((_, i) => !isTimeout(replies[i]!));
  const bystander = await baton.client();
  const slow = client.pipeline(keys.map((key) => ['GET', key]));
  for (const key of alive) {
    const from = performance.now();
    t.equal(await bystander.call('GET', key), key);
    t.ok(performance.now() - from < TIMEOUT_MS / 2, 'without delay');
  }
  await slow;
  frozen.thaw();
  await waitFor('service again', async () =>
    (await client.pipeline(keys.map((key) => ['GET', key])))
      .every((reply, i) => plain(reply) === keys[i]));
});

/** Lets things happen one after the other, so many milliseconds apart. */
async function oneByOne(apartMs: number, things: readonly (() => void)[]): Promise<void> {
  for (const thing of things) {
    thing();
    await pass(apartMs);
  }
}

t.test('late replies are dropped by position', async (t) => {
  const held: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => held.push(request));
  const baton = await Baton.start(t, { servers: [fake], pool: { timeout: TIMEOUT_MS } });
  const clients = await Promise.all(Array.from({ length: 10 }, () => baton.client()));
  const asked = clients.map(async (client, i) => {
    const first = await client.command('GET', `late${i}`);
    return [first, await client.command('GET', `own${i}`)] as const;
  });
  await waitFor('all requests', () => held.length === 10);
  const late = held.splice(0);
  fake.handler = (request) => (late.length > 0 ? held.push(request) : echo(request));
  await pass(TIMEOUT_MS / 3);
  await oneByOne(TIMEOUT_MS / 8, late.slice().map((request) => () => { // slow, but never silent
    echo(request);
    late.shift();
  }));
  for (const request of held) echo(request);
  const replies = await Promise.all(asked);
  t.equal(replies.filter(([first]) => isTimeout(first)).length > 2, true, 'some were too late');
  t.equal(replies.filter(([first], i) => plain(first) === `late${i}`).length > 2, true, 'some not');
  const strange = replies.filter(([, own], i) => plain(own) !== `own${i}` && !isTimeout(own));
  t.same(strange, [], 'nobody got what was another\'s');
  t.equal(replies.filter(([, own]) => !isTimeout(own)).length > 2, true);
  t.equal(fake.connects, 1, 'a server that answers slowly keeps its link');
});

t.test('late replies of every form, in pieces', async (t) => {
  const forms = ['+OK\r\n', ':1\r\n', '-ERR late\r\n', '$-1\r\n', '*-1\r\n', '*0\r\n',
    '$7\r\na value\r\n', '*2\r\n$1\r\na\r\n*1\r\n:1\r\n'];
  let form = '';
  const next: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => {
    if (request.args[0]!.toString() === 'own') return void next.push(request);
    const cut = (i: number): number => Math.floor(i * form.length / 8);
    const pieces = Array.from({ length: 8 }, (_, i) => form.slice(cut(i), cut(i + 1)));
    void oneByOne(TIMEOUT_MS / 5, pieces.map((piece) => () => request.reply(piece)))
      .then(() => waitFor('the next request', () => next.shift())).then(echo);
  });
  const baton = await Baton.start(t, { servers: [fake], pool: { timeout: TIMEOUT_MS } });
  const client = await baton.client();
  for (form of forms) {
    t.ok(isTimeout(await client.command('GET', 'late')), show(Buffer.from(form)));
    t.equal(await client.call('GET', 'own'), 'own');
  }
  t.equal(fake.connects, 1);
});

t.test('a link that is silent for the whole time is given up', async (t) => {
  const fake = await FakeBackend.start(t, echo);
  const baton = await Baton.start(t, {
    servers: [fake], pool: { timeout: TIMEOUT_MS, reconnect_min: 10, reconnect_max: 50 },
  });
  const client = await baton.client();
  t.equal(await client.call('GET', 'k'), 'k');
  fake.handler = (): void => {};
  t.ok(isTimeout(await client.command('GET', 'k')));
  fake.handler = echo;
  await waitFor('service on a new link', async () => await client.call('GET', 'k') === 'k');
  t.equal(fake.connects, 2);
});

t.test('the time counts from arrival, not from sending', async (t) => {
  const held: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => held.push(request));
  const baton = await Baton.start(t, { servers: [fake], pool: { timeout: TIMEOUT_MS } });
  const client = await baton.client();
  const began = performance.now();
  const asked = client.pipeline([['GET', 'a'], ['GET', 'b'], ['GET', 'c']]);
  const replies = await asked;
  const took = performance.now() - began;
  t.ok(replies.every(isTimeout));
  t.ok(took < TIMEOUT_MS * 2.5, `three at once took ${Math.round(took)} ms, not three times`);
  const stats = await baton.stats();
  const pool = stats.alpha as Record<string, Record<string, number>>;
  t.equal(pool[`127.0.0.1:${fake.port}`]!.server_timedout, 3);
});

t.test('what timed out before it was sent is never sent', async (t) => {
  const fake = await FakeBackend.start(t, (request) => request.reply('+OK\r\n'));
  fake.isDeaf = true;
  const baton = await Baton.start(t, { servers: [fake], pool: { timeout: TIMEOUT_MS } });
  const client = await baton.client();
  const value = 'x'.repeat(65_536);
  const commands = Array.from({ length: 400 }, (_, i) => ['SET', `big${i}`, value]);
  const replies = await client.pipeline(commands, 30_000);
  t.equal(replies.filter(isTimeout).length, 400);
  fake.hear();
  await waitFor('service', async () => await client.call('SET', 'after', 'x') === 'OK');
  t.ok(fake.requests.length < 380, `${fake.requests.length} of 401 were sent`);
  // What the first connection had taken may be read by the server after that: order is per connection.
  t.ok(fake.requests.some(({ args }) => args[0]!.toString() === 'after'));
});

/** GETs of keys whose value is their name: anything but that value or a timeout is a mix-up. */
async function mixUps(client: Client, name: string, isOver: () => boolean): Promise<number[]> {
  let [good, late, wrong, round] = [0, 0, 0, 0];
  while (!isOver()) {
    const keys = Array.from({ length: 20 }, (_, i) => `${name}:${round}:${i}`);
    round += 1;
    for (const [i, reply] of (await client.pipeline(keys.map((key) => ['GET', key]))).entries()) {
      if (plain(reply) === keys[i]) good += 1;
      else if (isTimeout(reply)) late += 1;
      else wrong += 1;
    }
  }
  return [good, late, wrong];
}

t.test('a server that hangs now and then, under load: no reply goes astray', async (t) => {
  const game = dice(t);
  let [isHung, isOver] = [false, false];
  const waiting: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => {
    if (isHung) waiting.push(request);
    else echo(request);
  });
  const baton = await Baton.start(t, {
    servers: [fake], pool: { timeout: 60 }, global: { worker_processes: 2 },
  });
  const clients = await Promise.all(Array.from({ length: 12 }, () => baton.client()));
  const playing = clients.map((client, i) => mixUps(client, `c${i}`, () => isOver));
  for (let round = 0; round < 15; round += 1) {
    isHung = true;
    await waitFor('requests to hang', () => waiting.length >= game.between(1, 100));
    const oldest = waiting[0]!.arrivedMs;
    const hang = game.between(10, 130); // around the timeout
    await waitFor('them to hang a while', () => performance.now() - oldest > hang);
    isHung = false;
    for (const request of waiting.splice(0)) echo(request);
    const count = fake.requests.length;
    await waitFor('some good requests', () => fake.requests.length > count + 300);
  }
  isOver = true;
  const sums = (await Promise.all(playing)).reduce((sum, one) => sum.map((n, i) => n + one[i]!));
  t.equal(sums[2], 0, 'nobody got what was another\'s');
  t.ok(sums[0]! > 1000 && sums[1]! > 0, `${sums[0]} good, ${sums[1]} late`);
});
