/**
 * Goal: when a server or its connection is lost, every request is answered exactly once, nothing is
 *   silently repeated, others notice nothing, and work goes on once the server is back.
 * Method: scripted servers close at chosen moments and count what reaches them; a real Redis loses
 *   its connections again and again while clients count.
 */
import t from 'tap';
import { Baton } from '../support/baton.js';
import { FakeBackend, type Received } from '../support/fake-backend.js';
import { freePort } from '../support/free-port.js';
import { isStopped } from '../support/processes.js';
import { Redis } from '../support/redis.js';
import { encode, errorText, plain, show, type Reply } from '../support/resp.js';
import { dice } from '../support/seed.js';
import { waitFor } from '../support/wait-for.js';

t.setTimeout(400_000);
const QUICK = { reconnect_min: 20, reconnect_max: 200 };
const ok = (request: Received): void => request.reply('+OK\r\n');
const isError = (reply: Reply): boolean => /^[A-Z]+ /.test(errorText(reply));

t.test('a link closed with requests in flight: each gets one error', async (t) => {
  const held: Received[] = [];
  const fake = await FakeBackend.start(t, (request) => held.push(request));
  const baton = await Baton.start(t, { servers: [fake], pool: QUICK });
  const clients = await Promise.all(Array.from({ length: 10 }, () => baton.client()));
  const asked = clients.map((client) =>
    client.pipeline(Array.from({ length: 20 }, (_, i) => ['SET', `k${i}`, 'v'])));
  await waitFor('all requests', () => held.length === 200);
  held[0]!.reply('+OK\r\n');
  held[1]!.reply('+O');
  fake.handler = ok;
  fake.dropLinks();
  const replies = (await Promise.all(asked)).flat();
  t.equal(replies.length, 200);
  t.ok(replies.filter((reply) => plain(reply) === 'OK').length <= 1, 'at most the one answered');
  t.equal(replies.filter(isError).length >= 199, true, 'all others are errors');
  t.match(errorText(replies[50]!), /server|connection|lost|closed/i, 'that say what happened');
  for (const client of clients) {
    t.equal(await client.call('PING'), 'PONG');
    t.same(client.waiting, [], 'no reply too many');
  }
  await waitFor('the link to be back', async () => await clients[0]!.call('GET', 'k') === 'OK');
  t.equal(fake.requests.filter((request) => request.name === 'SET').length, 200, 'sent once each');
});

t.test('a reply cut in the middle never reaches its client as if it were whole', async (t) => {
  let cut = '';
  const fake = await FakeBackend.start(t, (request) => {
    if (cut === '') return ok(request);
    request.reply(cut);
    request.link.socket.end();
    cut = '';
  });
  const baton = await Baton.start(t, { servers: [fake], pool: QUICK });
  const halves = ['+', '+O', '+OK\r', '$5\r\nab', '$300000\r\nabc', '*2\r\n$1\r\na\r\n',
    '*1\r\n*1\r\n',
    `$300000\r\n${'x'.repeat(200_000)}`];
  for (const half of halves) {
    const [client, other] = [await baton.client(), await baton.client()];
    await waitFor('the link to be up', async () => await other.call('GET', 'k') === 'OK');
    cut = half;
    client.push('*2\r\n$3\r\nGET\r\n$1\r\nk\r\n');
    await waitFor('an error or a close', () => client.waiting.length > 0 || client.isClosed);
    t.ok(client.isClosed || isError(client.waiting[0]!), show(Buffer.from(half)));
    if (!client.isClosed) {
      const replies = await client.pipeline([['PING'], ['PING']]); // the error, then a PONG
      t.equal(plain(replies[1]!), 'PONG');
    }
    await waitFor('others to be served', async () => await other.call('GET', 'k') === 'OK');
    client.destroy();
    other.destroy();
  }
});

t.test('what was not yet sent is sent again, what was sent is not', async (t) => {
  const fake = await FakeBackend.start(t, ok);
  const baton = await Baton.start(t, { servers: [fake], pool: QUICK });
  const client = await baton.client();
  t.equal(await client.call('GET', 'up'), 'OK');
  fake.dropLinks();
  fake.isDeaf = true;
  const value = 'x'.repeat(65_536);
  const commands = Array.from({ length: 400 }, (_, i) => ['SET', `big${i}`, value]);
  const asked = client.pipeline(commands, 30_000);
  let [sends, rest] = [-1, 0];
  await waitFor('the kernel\'s buffers to be full', async () => {
    const now = await baton.metric('baton_lane_sends_total');
    rest = now === sends ? rest + 1 : 0;
    sends = now;
    return rest > 10 && await baton.metric('baton_server_requests_owed') === 400;
  });
  const unsent = await baton.metric('baton_server_unsent_bytes');
  fake.requests.length = 0;
  fake.isDeaf = false;
  fake.dropLinks();
  const replies = await asked;
  const lost = replies.filter(isError).length;
  const done = replies.filter((reply) => plain(reply) === 'OK').length;
  t.equal(lost + done, 400);
  t.ok(lost > 0, `${lost} sent and lost`);
  t.ok(done > 0, `${done} not yet sent, sent again`);
  t.ok(Math.abs(unsent - done * value.length) < 2 * value.length, `${unsent} bytes were unsent`);
  t.equal(fake.requests.length, done, 'nothing arrived without being answered, nothing twice');
  t.equal(new Set(fake.requests.map((request) => request.args[0]!.toString())).size, done);
});

t.test('a request that comes together with the loss of its link', async (t) => {
  const fake = await FakeBackend.start(t, ok);
  const baton = await Baton.start(t, { servers: [fake], pool: QUICK });
  const client = await baton.client();
  const [worker] = baton.workers();
  for (let round = 1; round <= 5; round += 1) {
    t.equal(await client.call('GET', 'up'), 'OK');
    t.equal(fake.connects, round, 'one connection after the other');
    process.kill(worker!, 'SIGSTOP');
    await waitFor('the worker to stand still', () => isStopped(worker!));
    client.push(encode(['GET', 'k'])); // its event is before the link's
    fake.dropLinks();
    await waitFor('the link to be closed', () => fake.openLinks === 0);
    process.kill(worker!, 'SIGCONT');
    t.equal(plain(await client.reply()), 'OK', 'it is sent over the next connection');
  }
});

t.test('counting through lost connections: acknowledged ≤ value ≤ acknowledged + errors',
  async (t) => {
    const game = dice(t);
    const redis = await Redis.start(t);
    const baton = await Baton.start(t, {
      servers: [redis], pool: { ...QUICK, server_connections: 2 }, global: { worker_processes: 2 },
    });
    let [acknowledged, errors, isOver] = [0, 0, false];
    const clients = await Promise.all(Array.from({ length: 20 }, () => baton.client()));
    const counting = clients.map(async (client) => {
      while (!isOver) {
        const commands = Array.from({ length: game.between(1, 60) }, () => ['INCR', 'count']);
        for (const reply of await client.pipeline(commands)) {
          if (reply.type === ':') acknowledged += 1;
          else if (isError(reply)) errors += 1;
          else throw new Error(`INCR was answered by ${show(reply.raw)}`);
        }
      }
    });
    for (let kills = 0; kills < 60; kills += 1) {
      const target = acknowledged + game.between(50, 400);
      await waitFor('some progress', () => acknowledged >= target);
      await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    }
    isOver = true;
    await Promise.all(counting);
    const value = Number(await redis.call('GET', 'count'));
    t.ok(acknowledged <= value, `${acknowledged} acknowledged, value ${value}`);
    t.ok(value <= acknowledged + errors, `value ${value}, ${errors} errors`);
    t.ok(errors > 0, 'connections were lost with requests in flight');
  });

t.test('a server that was never there: an error that names it, others serve', async (t) => {
  const port = await freePort();
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, {
    servers: [`127.0.0.1:${port}:1 missing`, `${redis.entry} present`],
    pool: { ...QUICK, distribution: 'modula', hash: 'md5' },
  });
  const client = await baton.client();
  const commands = Array.from({ length: 200 }, (_, i) => ['SET', `k${i}`, 'v']);
  const replies = await client.pipeline(commands);
  const errors = replies.filter(isError);
  t.equal(errors.length + replies.filter((reply) => plain(reply) === 'OK').length, 200);
  t.ok(errors.length > 50 && errors.length < 150, `${errors.length} keys belong to it`);
  t.match(errorText(errors[0]!), /missing|refused|connect/i);
  t.match(await baton.logged(/missing/), /refused/i);
  const lines = baton.log.split('\n').filter((line) => line.includes('missing')).length;
  t.ok(lines < 20, `${lines} log lines about it, not one per request`);
});

t.test('reconnecting backs off: no tight loop, however many requests come', async (t) => {
  const fake = await FakeBackend.start(t, (request) => request.link.socket.destroy());
  const baton = await Baton.start(t, {
    servers: [fake], pool: { reconnect_min: 50, reconnect_max: 2000 },
  });
  const client = await baton.client();
  const until = performance.now() + 1500;
  let errors = 0;
  while (performance.now() < until) {
    const [reply] = await client.pipeline([['GET', 'k']]);
    if (isError(reply!)) errors += 1;
  }
  t.ok(errors > 1, `${errors} errors`);
  t.ok(fake.connects >= 3 && fake.connects <= 20, `${fake.connects} connects in 1.5 s`);
});

t.test('a killed server: errors while it is away, service when it is back', async (t) => {
  const redis = await Redis.start(t);
  const baton = await Baton.start(t, { servers: [redis], pool: QUICK });
  const clients = await Promise.all(Array.from({ length: 5 }, () => baton.client()));
  for (let round = 0; round < 4; round += 1) {
    t.equal(await clients[0]!.call('SET', 'k', round), 'OK');
    const asked = clients.map((client) =>
      client.pipeline(Array.from({ length: 300 }, () => ['GET', 'k'])));
    await redis.kill();
    for (const replies of await Promise.all(asked)) {
      const strange = replies.find((reply) => !isError(reply) && plain(reply) !== String(round));
      t.equal(strange, undefined, 'the value or an error');
    }
    t.ok(isError(await clients[1]!.command('GET', 'k')), 'an error while it is away');
    await redis.up();
    await waitFor('service again', async () => await clients[2]!.call('SET', 'k', 'back') === 'OK');
  }
});

t.test('preconnect: links are up before the first request', async (t) => {
  const fake = await FakeBackend.start(t, ok);
  await Baton.start(t, { servers: [fake], pool: { preconnect: true } });
  await waitFor('a connection', () => fake.openLinks > 0);
  t.equal(fake.requests.length, 0);
});
